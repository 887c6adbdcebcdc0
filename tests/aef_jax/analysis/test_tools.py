"""Tests of the tools for fields, by the GeoTIFFs that they write: values worked out by hand."""

import numpy as np
import pytest
from matplotlib.image import imread

from aef_jax.analysis.change import magnitude, usual_change, write_change
from aef_jax.analysis.colors import fit_colors, write_colors
from aef_jax.analysis.similarity import write_similarity
from aef_jax.cli.main import main
from aef_jax.inference.field import ArrayField
from tests.support.data.two_halves import degrees, two_halves, write_geotiff
from tests.support.refusals import error_message

pytestmark = pytest.mark.slow

rasterio = pytest.importorskip("rasterio", reason="rasterio is in the optional extra geo")
pytest.importorskip("pyproj", reason="pyproj is in the optional extra geo")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Work in a folder with a field of two halves, and labeled points."""
    monkeypatch.chdir(tmp_path)
    write_geotiff(tmp_path / "field.tif", two_halves())
    labels = [(0, 0, "water"), (9, 3, "water"), (3, 20, "forest"), (8, 28, "forest"), (12, 25, "forest")]
    lines = [f"{lon},{lat},{label}" for row, column, label in labels for lon, lat in [degrees(row, column)]]
    (tmp_path / "labels.csv").write_text("\n".join(["lon,lat,class", *lines, ""]))
    return tmp_path


def run(line: str) -> tuple[np.ndarray, dict]:
    """Run a tool that writes out.tif, and return its bands and its header."""
    assert main(["field", *line.split(), "-o", "out.tif"]) == 0
    assert imread("out.png").std() > 0.01
    with rasterio.open("out.tif") as file:
        assert tuple(file.transform)[:6] == two_halves().info.transform
        assert file.crs.to_epsg() == 32631
        palette = file.colormap(1) if file.colorinterp[0].name == "palette" else {}
        return np.moveaxis(file.read(), 0, -1), {**file.tags(), "palette": palette, "names": file.descriptions}


def test_fixed_axes_are_stretched_to_eight_bits(folder):
    bands, _ = run("colors field.tif --axes A01 A00 A02 --range -1 1")
    assert bands[0, 0].tolist() == [128, 255, 128, 255]
    assert bands[0, 29].tolist() == [255, 128, 128, 255]
    assert bands[19, 29].tolist() == [0, 0, 0, 0], "no data is transparent"


def test_the_first_component_tells_the_halves_apart(folder):
    bands, _ = run("colors field.tif")
    assert abs(int(bands[0, 0, 0]) - int(bands[0, 29, 0])) == 255


def test_search_gives_cosines(folder):
    lon, lat = degrees(4, 4)
    bands, header = run(f"search field.tif --lon {lon} --lat {lat}")
    np.testing.assert_allclose(bands[:, :15], 1, atol=1e-6)
    np.testing.assert_allclose(bands[:19, 15:], 0, atol=1e-6)
    assert np.isnan(bands[19, 29])
    assert header["names"] == ("cosine similarity",)
    bands, _ = run("search field.tif --points labels.csv")  # two of one half, three of the other
    np.testing.assert_allclose(bands[0, [0, 29], 0], np.array([2, 3]) / np.sqrt(13), atol=1e-6)


@pytest.mark.slow  # loads scikit-learn
@pytest.mark.parametrize("method", ["knn --neighbors 2", "linear"])
def test_few_labels_make_a_class_map_with_names(folder, method, capsys):
    bands, header = run(f"classify field.tif --points labels.csv --method {method}")
    assert (header["CLASS_1"], header["CLASS_2"]) == ("forest", "water")
    assert (bands[:, :15, 0] == 2).all()
    assert (bands[:19, 15:, 0] == 1).all()
    assert bands[19, 29].tolist() == [0, 0]
    assert bands[0, 0, 1] == 100 if "knn" in method else 90 < bands[0, 0, 1] <= 100
    assert header["palette"][1] != header["palette"][2]
    assert "fitted to 5 points of 2 classes; 0 points outside" in capsys.readouterr().out


def test_clusters_are_numbered_by_size(folder):
    field = two_halves()
    field.vectors[:, :20] = field.vectors[0, 0]  # two thirds
    write_geotiff(folder / "field.tif", field)
    bands, header = run("cluster field.tif --clusters 2 --seed 3")
    assert (bands[:, :20, 0] == 1).all()
    assert (bands[:19, 20:, 0] == 2).all()
    assert bands[19, 29, 0] == 0
    assert header["CLASS_2"] == "cluster 2"


def test_change_is_half_of_one_minus_cosine(folder):
    field = two_halves()
    changed = ArrayField(field.info, field.vectors.copy())
    changed.vectors[0, :3] = [field.vectors[0, 29], -field.vectors[0, 0], [0.6, 0.8, *[0] * 6]]
    write_geotiff(folder / "after.tif", changed)
    bands, _ = run("change field.tif after.tif")
    np.testing.assert_allclose(bands[0, :4, 0], [0.5, 1, 0.2, 0], atol=2e-3)  # 0.6 and 0.8 are rounded to 8 bits
    assert np.isnan(bands[19, 29, 0])


def test_significance_counts_deviations_above_other_years(tmp_path):
    def year(angle: float) -> ArrayField:
        vectors = np.zeros((2, 2, 8), np.float32)
        vectors[..., :2] = np.cos(angle), np.sin(angle)
        return ArrayField(two_halves().info._replace(shape=(2, 2)), vectors)

    others = [year(angle) for angle in (0, 0.2, 0.6)]
    usual = [(1 - np.cos(angle)) / 2 for angle in (0.2, 0.6, 0.4)]
    mean, deviation = usual_change([other.vectors for other in others])
    np.testing.assert_allclose(mean, np.mean(usual), rtol=1e-4)
    np.testing.assert_allclose(deviation, np.std(usual, ddof=1), rtol=1e-4)
    write_change(year(0), year(1), others, tmp_path / "out.tif")
    with rasterio.open(tmp_path / "out.tif") as file:
        bands = file.read()
    expected = (1 - np.cos(1)) / 2
    np.testing.assert_allclose(bands[0], expected, rtol=1e-5)
    np.testing.assert_allclose(bands[1], (expected - np.mean(usual)) / np.std(usual, ddof=1), rtol=1e-3)
    assert magnitude(others[0].vectors, -others[0].vectors).max() == 1


def test_windows_are_seamless_and_overviews_are_written(tmp_path):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(300, 520, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    field = ArrayField(two_halves().info._replace(shape=(300, 520), embed_dim=4), vectors)
    write_similarity(field, np.array([degrees(10, 10)]), tmp_path / "out.tif")
    with rasterio.open(tmp_path / "out.tif") as file:
        np.testing.assert_allclose(file.read(1), vectors @ vectors[10, 10], atol=1e-6)
        assert file.overviews(1) == [2, 4]
        assert file.block_shapes == [(256, 256)]


def test_a_field_that_breaks_off_leaves_nothing(tmp_path):
    class Broken(ArrayField):
        def read(self, rows: slice, columns: slice):
            if columns.start:
                raise ValueError("the file is damaged")
            return super().read(rows, columns)

    whole = ArrayField(two_halves(4, 300).info, two_halves(4, 300).vectors)
    colors = fit_colors(whole)
    assert "damaged" in error_message(write_colors, Broken(*whole), colors, tmp_path / "out.tif")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("search field.tif --lon 5", "as many of both"),
        ("search field.tif", "as many of both"),
        ("search field.tif --lon 500 --lat 50", "lon is 500"),
        ("search field.tif --lon 5.5 --lat 50.5", "lon 5.5, lat 50.5 cannot be used: it lies outside"),
        ("search field.tif --points empty.csv", "empty.csv: it has no point"),
        ("classify field.tif --points labels.csv --column crop", "labels.csv, row 1: there is no column 'crop'"),
        ("classify field.tif --points same.csv", "all 1 points in the field are of the class 'water'"),
        ("classify field.tif --points far.csv", "far.csv: none of its 1 points lies on a pixel"),
        ("classify field.tif --points unnamed.csv", "unnamed.csv, row 2: its class is empty"),
        ("classify field.tif --points labels.csv --neighbors 6", "there are 6 neighbors, expected 1 to 5"),
        ("cluster field.tif --clusters 1", "there are 1 clusters, expected 2 to 255"),
        ("cluster small.tif --clusters 9", "there are 9 clusters, expected at most 5"),
        ("cluster void.tif", "no pixel with data"),
        ("change field.tif small.tif", "small.tif: its shape is (2, 3), expected (20, 30) as field.tif has"),
        ("change field.tif field.tif --others field.tif", "there are 1 fields of other years"),
        ("colors field.tif --axes A00 A01 A08", "there is no axis A08, expected A00 to A07"),
        ("colors field.tif --range 0 1", "--range is of --axes"),
        ("colors field.tif --axes A00 A01 A02 --range 1 0", "the range of colors is 1.0 to 0.0"),
        ("colors out.tif", "out.tif is a field that is read"),
    ],
)
def test_mistakes_are_told_in_a_sentence(line, expected, folder, mistake, monkeypatch):
    monkeypatch.chdir(folder)
    lon, lat = degrees(0, 0)
    for name, row in {"same": f"{lon},{lat},water", "far": "0,0,a", "unnamed": f"{lon},{lat},", "empty": ""}.items():
        (folder / f"{name}.csv").write_text(f"lon,lat,class\n{row}\n" if row else "lon,lat,class\n")
    if "small" in line:
        write_geotiff(folder / "small.tif", two_halves(2, 3))
    if "void" in line:
        write_geotiff(folder / "void.tif", two_halves()._replace(vectors=np.full((20, 30, 8), np.nan, np.float32)))
    assert expected in mistake("field", *line.split(), "-o", "out.tif")
    assert not (folder / "out.tif").exists()
