"""Tests of the linear probe, of composites and of the probe report."""

from dataclasses import replace

import numpy as np
import pytest

from aef_jax.cli import main as cli
from aef_jax.data.sampling.validation import ValidationExample
from aef_jax.data.store.dataset import Dataset
from aef_jax.evaluation.linear_probe import probe_score
from aef_jax.evaluation.probe_report import ProbeResult, choose_labels, composite, probe_run, quarters, table
from aef_jax.evaluation.validation import Evaluation, ValidationReconstruction, probe_scores
from configs.fields.statistics import CLIP_SIGMA
from tests.support.data.small_site import CONFIG, schema_of, small_site
from tests.support.refusals import error_message

NUM_SITES = 12


def _maps(seed: int = 0) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return [generator.integers(0, 3, (8, 8)).astype(np.uint8) for _ in range(NUM_SITES)]


def _noise(seed: int, width: int = 6) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return [generator.standard_normal((8, 8, width)).astype(np.float32) for _ in range(NUM_SITES)]


def test_linearly_separable_classes_score_one():
    labels = _maps()
    directions = np.random.default_rng(1).standard_normal((3, 6)).astype(np.float32) * 5
    features = [0.1 * noise + directions[each] for noise, each in zip(_noise(2), labels, strict=True)]
    assert probe_score(features, labels, seed=0) == 1


def test_pixels_without_an_embedding_are_left_out():
    labels = [np.where(np.arange(8)[:, None] < 2, 2, classes) for classes in _maps()]
    directions = np.random.default_rng(1).standard_normal((3, 6)).astype(np.float32) * 5
    features = [directions[classes] for classes in _maps()]  # wrong in the first two rows
    assert probe_score(features, labels, seed=0) < 1
    for field in features:
        field[:2] = np.nan
    assert probe_score(features, labels, seed=0) == 1


def test_pixels_without_a_label_are_left_out():
    directions = np.random.default_rng(1).standard_normal((3, 6)).astype(np.float32) * 5
    features = [directions[classes] for classes in _maps()]
    labels = [np.where(np.arange(8) < 2, -1, classes.astype(int) + 500) for classes in _maps()]
    assert probe_score(features, labels, seed=0) == 1


def test_uninformative_features_score_at_chance():
    assert np.mean([probe_score(_noise(3), _maps(), seed) for seed in range(5)]) == pytest.approx(1 / 3, abs=0.05)


def test_features_that_only_identify_the_site_score_at_chance():
    """Each site has one class and its own features, so pixels of a test site in the training half would reveal it."""
    labels = [np.full((8, 8), site % 3, np.uint8) for site in range(NUM_SITES)]
    own = np.random.default_rng(4).standard_normal((NUM_SITES, 40)).astype(np.float32)
    features = [np.broadcast_to(each, (8, 8, 40)) for each in own]
    assert np.mean([probe_score(features, labels, seed) for seed in range(10)]) < 0.6


def test_rare_classes_count_as_much_as_common_ones():
    """A probe that always predicts the common class has a balanced accuracy of one half."""
    generator = np.random.default_rng(5)
    labels = [(generator.random((8, 8)) < 0.05).astype(np.uint8) for _ in range(NUM_SITES)]
    features = [np.zeros((8, 8, 2), np.float32) for _ in labels]
    assert probe_score(features, labels, seed=0) == 0.5


def test_composite_is_clear_optical_median_and_radar_mean():
    site, schema = small_site(), schema_of()
    features = composite(site, schema.normalization, CONFIG)
    assert features.shape == (*site.shape, 16)
    row, column = 5, 7
    expected = []
    for source, bands, average in (("sentinel2", 5, np.median), ("landsat", 7, np.median), ("sentinel1", 4, np.mean)):
        series = schema.normalization.apply(site, CONFIG.decoded_sources).series[source]
        for band in range(bands):
            clear = series.valid[:, row, column, band]
            expected.append(average(series.pixels[clear, row, column, band]))
    np.testing.assert_allclose(features[row, column], expected, rtol=1e-5, atol=1e-6)
    assert np.abs(features).max() <= CLIP_SIGMA


@pytest.mark.slow
def test_the_quarters_of_one_labeled_site_are_probed(training, tmp_path, capsys):
    planet = tmp_path / "planet"
    assert cli.main(["data", "make-planet", str(planet), "--sites", "2", "--side", "32", "--validation", "0.5"]) == 0
    assert cli.main(["probe", str(training.run.path), "--data", str(planet), "--sites", "1", "--seeds", "2"]) == 0
    scores = [float(line.split()[2]) for line in capsys.readouterr().out.splitlines() if "+-" in line]
    assert len(scores) == 2
    assert all(0 < score <= 1 for score in scores)


def test_quarters_are_disjoint_and_whole():
    field = np.arange(5 * 7).reshape(5, 7)
    assert sorted(value for part in quarters(field) for value in part.ravel()) == list(range(35))
    assert [part.shape for part in quarters(field)] == [(3, 4), (3, 3), (2, 4), (2, 3)]


def test_one_of_several_label_maps_is_chosen_by_name(tmp_path):
    of_one = replace(Dataset.empty(tmp_path), labels={"crops": 1})
    assert choose_labels(of_one, "") == choose_labels(of_one, "crops") == "crops"
    of_two = replace(of_one, labels={"crops": 1, "landcover": 2})
    assert choose_labels(of_two, "landcover") == "landcover"
    refusal = f"{tmp_path}: it has the label maps crops, landcover: choose one with --labels"
    assert error_message(choose_labels, of_two, "") == refusal
    assert "it has no label map 'crop'; did you mean crops?" in error_message(choose_labels, of_two, "crop")
    assert "none of its sites has labels" in error_message(choose_labels, replace(of_one, labels={}), "")
    assert choose_labels(replace(of_one, labels=None), "") == "labels", "an older data set"


def test_each_label_map_has_a_metric_of_its_own():
    """One map is the class of each pixel's embedding, the other is noise; the third is in one example only."""
    embeddings = [np.eye(3, dtype=np.float32)[classes] for classes in _maps()]
    maps = [{"crops": classes, "noise": noise} for classes, noise in zip(_maps(), _maps(7), strict=True)]
    maps[0] = {**maps[0], "rare": _maps()[0]}
    scores = probe_scores([_reconstruction(*each) for each in zip(embeddings, maps, strict=True)])
    assert scores.keys() == {"probe/crops", "probe/noise"}
    assert scores["probe/crops"] == 1
    assert scores["probe/noise"] < 0.5
    alone = [_reconstruction(mu, {"crops": each["crops"]}) for mu, each in zip(embeddings, maps, strict=True)]
    assert probe_scores(alone) == {"probe": 1}


def _reconstruction(embedding: np.ndarray, labels: dict[str, np.ndarray]) -> ValidationReconstruction:
    example = ValidationExample(None, None, 0, labels)  # pyright: ignore[reportArgumentType]
    return ValidationReconstruction(example, np.zeros((8, 8, 1), np.float32), embedding)


@pytest.mark.slow
def test_a_run_of_the_sample_has_nothing_to_probe(training):
    assert "trained on the sample, which has no labels" in error_message(probe_run, training.run, 4, 2)


@pytest.mark.parametrize(("angle", "collapse"), [(0, 1), (np.pi / 3, 0.5), (np.pi / 2, 0)])
def test_collapse_is_the_cosine_of_examples_half_the_list_apart(angle, collapse):
    """Neighbors in the list, which may show the same ground, are equal here."""
    sides = [np.array([1, 0]), np.array([np.cos(angle), np.sin(angle)])]
    embeddings = [np.broadcast_to(side, (4, 4, 2)) for side in (sides[0], sides[0], sides[1], sides[1])]
    example = ValidationExample(None, None, 0, {})  # pyright: ignore[reportArgumentType]
    reconstructions = [ValidationReconstruction(example, np.zeros((4, 4, 1), np.float32), each) for each in embeddings]
    assert Evaluation(reconstructions, {}).collapse == pytest.approx(collapse, abs=1e-6)


def test_the_table_gives_mean_and_deviation():
    assert table([ProbeResult("embedding", 64, [0.5, 0.7])]).splitlines()[1].split() == [
        "embedding",
        "64",
        "0.600",
        "+-",
        "0.100",
    ]
