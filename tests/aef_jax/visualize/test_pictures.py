"""Tests of the pictures: the numbers that they show, and that they are written completely."""

import json

import numpy as np
import pytest
from matplotlib.image import imread

from aef_jax.data.store.normalization import Normalization
from aef_jax.data.store.site import Series, Site
from aef_jax.data.store.statistics import normalization_of
from aef_jax.visualize.frame_colors import true_color
from aef_jax.visualize.loss_curves import read_metrics, write_loss_curves_png
from aef_jax.visualize.pictures import principal_colors, write_field_png
from aef_jax.visualize.reconstructions import Reconstruction, write_reconstructions_png
from configs.sources import LANDSAT, SENTINEL1, SENTINEL2


def make_field(height: int = 30, width: int = 20) -> np.ndarray:
    """Make a field of three directions of falling strength that vary along rows, columns and the diagonal."""
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.normal(size=(64, 3)))[0].T
    row, column = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    return 4 * row[..., None] * axes[0] + 2 * column[..., None] * axes[1] + (row * column)[..., None] * axes[2] + 0.3


def make_frame(seed: int = 0) -> tuple[np.ndarray, Normalization, np.ndarray]:
    """Make a Sentinel-2 frame: z-scored, its statistics, and as stored."""
    stored = np.random.default_rng(seed).uniform(100, 3000, (1, 16, 16, 5)).astype(np.float32)
    series = Series(stored, np.ones(stored.shape, bool), np.zeros(1, np.int64), np.zeros((1, 0)))
    site = Site("made", {"sentinel2": series}, "EPSG:32631", (10, 0, 0, 0, -10, 0))
    normalization = normalization_of([site], (SENTINEL2,))
    return normalization.apply(site, (SENTINEL2,)).series["sentinel2"].pixels[0], normalization, stored[0]


def test_principal_components_are_in_order_of_variance():
    colors, shares = principal_colors(make_field())

    assert shares[0] > shares[1] > shares[2]
    np.testing.assert_allclose(shares.sum(), 1, rtol=1e-9)
    assert (colors.min(), colors.max()) == (0, 1)
    down, across = np.arange(30.0), np.arange(20.0)
    assert abs(np.corrcoef(down, colors[:, 10, 0])[0, 1]) > 0.99  # red turns along the rows
    assert abs(np.corrcoef(across, colors[15, :, 1])[0, 1]) > 0.99  # green along the columns


def test_component_signs_do_not_depend_on_the_eigensolver(monkeypatch):
    field = make_field()
    expected = principal_colors(field)[0]
    eigh = np.linalg.eigh

    def flipped(matrix):
        variances, axes = eigh(matrix)
        return variances, -axes

    monkeypatch.setattr(np.linalg, "eigh", flipped)
    np.testing.assert_array_equal(principal_colors(field)[0], expected)


def test_outliers_do_not_set_the_stretch():
    field = make_field()
    changed = field.copy()
    changed[29, 10] += 3 * (field[29, 10] - field[0, 10])  # along the first component, so that the axes stay
    change = np.abs(principal_colors(changed)[0] - principal_colors(field)[0])
    change[29, 10] = 0
    assert change.max() < 0.02


def test_pixels_without_data_are_ignored():
    field = make_field()
    field[:10] = np.nan
    colors, shares = principal_colors(field)

    assert np.isnan(colors[:10]).all()
    np.testing.assert_array_equal(colors[10:], principal_colors(field[10:])[0])
    np.testing.assert_array_equal(shares, principal_colors(field[10:])[1])


def test_a_field_without_data_is_refused():
    with pytest.raises(ValueError, match="no pixel with data"):
        principal_colors(np.full((4, 4, 64), np.nan))


def test_true_color_undoes_the_scaling():
    pixels, normalization, stored = make_frame()

    # bands are stored as B2 B3 B4 B8 B11: red is B4
    np.testing.assert_allclose(true_color(pixels, SENTINEL2, normalization), stored[..., [2, 1, 0]], rtol=1e-3)


def test_true_color_of_radar_is_refused():
    with pytest.raises(ValueError, match=r"source sentinel1: bands are .* expected the optical"):
        true_color(np.zeros((4, 4, 5), np.float32), SENTINEL1, Normalization({}, {}))


def test_landsat_has_true_color_too():
    normalization = Normalization({"landsat": np.full(7, 0.1)}, {"landsat": np.arange(1.0, 8) / 10})
    color = true_color(np.ones((1, 1, 7), np.float32), LANDSAT, normalization)

    np.testing.assert_allclose(color[0, 0], np.expm1([0.4, 0.3, 0.2]), rtol=1e-6)


def test_field_picture_is_large_and_in_color(tmp_path):
    path = tmp_path / "pictures" / "field.png"
    field = make_field()
    field[:3, :3] = np.nan
    write_field_png(path, field, "Embedding field, 2019")

    picture = imread(path)[..., :3]
    assert min(picture.shape[:2]) > 400
    assert np.ptp(picture, axis=-1).max() > 0.8  # the picture is not gray


def test_pictures_are_reproducible_to_the_byte(tmp_path):
    for name in ("a.png", "b.png"):
        write_field_png(tmp_path / name, make_field())
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.fixture
def drawn(monkeypatch):
    """Collect the figures instead of writing them."""
    figures = []
    for module in ("loss_curves", "reconstructions"):
        monkeypatch.setattr(f"aef_jax.visualize.{module}.save_png", lambda figure, path: figures.append(figure))
    return figures


@pytest.mark.slow
def test_reconstructions_are_drawn(tmp_path):
    rows = []
    for seed in range(3):
        pixels, normalization, _ = make_frame(seed)
        valid = np.ones(pixels.shape, bool)
        valid[:5, :5] = seed == 0
        rows.append(Reconstruction(f"2019-0{seed + 1}-01", pixels, pixels + 0.1 * (seed + 1), valid))
    write_reconstructions_png(tmp_path / "one.png", rows[:1], SENTINEL2, normalization)
    write_reconstructions_png(tmp_path / "three.png", rows, SENTINEL2, normalization)

    single, three = (imread(tmp_path / name) for name in ("one.png", "three.png"))
    assert three.shape[0] > 2 * single.shape[0]
    assert abs(three.shape[1] - single.shape[1]) < 0.1 * single.shape[1]


def test_the_error_counts_valid_bands_only(tmp_path, drawn):
    pixels, normalization, _ = make_frame()
    made = pixels + np.arange(1, 6, dtype=np.float32) / 10
    valid = np.ones(pixels.shape, bool)
    valid[0, 0], valid[0, 1, 2:] = False, False
    write_reconstructions_png(tmp_path / "r.png", [Reconstruction("", pixels, made, valid)], SENTINEL2, normalization)

    error = drawn[0].axes[2].images[0].get_array()
    np.testing.assert_array_equal(error.mask.nonzero(), [[0], [0]])
    np.testing.assert_allclose(error[0, 1:3], [0.15, 0.3], rtol=1e-5)


def records() -> list[dict]:
    train = [
        {"step": step, "kind": "train", "loss": 1 / step, "reconstruction/sentinel2": 0.9 / step, "uniformity": 0.1}
        for step in range(10, 210, 10)
    ]
    validation = [
        {
            "step": step,
            "kind": "validation",
            "l1/sentinel2": 0.5,
            "l1_mean/sentinel2": 0.8,
            "l1_persistence/sentinel2": 0.6,
        }
        for step in (100, 200)
    ]
    return train + validation


def test_loss_curves_show_the_records(tmp_path, drawn):
    write_loss_curves_png(tmp_path / "loss.png", records())
    terms, embedding, validation = drawn[0].axes

    assert [text.get_text() for text in terms.get_legend().get_texts()] == ["loss", "sentinel2"]
    assert [text.get_text() for text in embedding.get_legend().get_texts()] == ["uniformity"]
    assert {line.get_label(): list(line.get_ydata()) for line in validation.lines} == {
        "mean of training": [0.8, 0.8],
        "nearest clear frame": [0.6, 0.6],
        "model": [0.5, 0.5],
    }
    # the faint curve is the record itself
    np.testing.assert_allclose(terms.lines[1].get_xydata(), [(step, 1 / step) for step in range(10, 210, 10)])


def test_a_jumping_term_has_a_running_mean(tmp_path, drawn):
    jumping = [
        {"step": step, "kind": "train", "loss": 1 + 0.5 * (-1) ** step, "uniformity": 0.1} for step in range(100)
    ]
    write_loss_curves_png(tmp_path / "loss.png", jumping)

    mean, faint = drawn[0].axes[0].lines
    np.testing.assert_allclose(mean.get_ydata()[5:-5], 1, rtol=1e-9)
    assert np.ptp(faint.get_ydata()) == 1


def test_every_validation_source_has_its_panel(tmp_path, drawn):
    scores = {
        f"{kind}/{name}": 0.5 for kind in ("l1", "l1_mean", "l1_persistence") for name in ("landsat", "sentinel1")
    }
    write_loss_curves_png(tmp_path / "loss.png", [*records(), {"step": 200, "kind": "validation", **scores}])

    # two rows of three panels, the unused one removed; the record of step 200 was replaced, not merged
    titles = [axes.get_title() for axes in drawn[0].axes]
    assert titles[2:] == [f"validation: {name}" for name in ("landsat", "sentinel1", "sentinel2")]


def test_a_step_that_was_run_twice_counts_once(tmp_path, drawn):
    again = [{"step": step, "kind": "train", "loss": 7.0} for step in (150, 160)]
    write_loss_curves_png(tmp_path / "loss.png", [*records(), *again])

    steps, losses = drawn[0].axes[0].lines[1].get_xydata().T
    np.testing.assert_array_equal(steps, range(10, 210, 10))
    assert list(losses[14:16]) == [7.0, 7.0]


def test_loss_curves_are_drawn_before_the_first_evaluation(tmp_path):
    write_loss_curves_png(tmp_path / "loss.png", records()[:1])
    assert imread(tmp_path / "loss.png").shape[0] > 300


def test_loss_curves_without_training_records_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no record of kind 'train'"):
        write_loss_curves_png(tmp_path / "loss.png", records()[-2:])
    assert not list(tmp_path.iterdir())


def test_a_metrics_line_that_was_cut_off_is_ignored(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text("\n".join(json.dumps(record) for record in records()) + '\n{"step": 210, "ki')
    assert read_metrics(path) == records()


def test_metrics_that_are_broken_inside_are_refused(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 10, "kind": "train"}\noops\n{"step": 20, "kind": "train"}\n')
    with pytest.raises(ValueError, match=r"metrics\.jsonl, line 2: not a record of metrics"):
        read_metrics(path)


def test_a_failed_drawing_leaves_the_previous_picture(tmp_path, monkeypatch):
    path = tmp_path / "field.png"
    write_field_png(path, make_field())
    before = path.read_bytes()

    def fail(figure, target, **options):
        target.write_bytes(b"half a file")
        raise OSError("no space left")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", fail)
    with pytest.raises(OSError, match="no space left"):
        write_field_png(path, make_field())
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
