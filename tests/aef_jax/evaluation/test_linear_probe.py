"""Tests of the linear probe, and of the metrics of validation examples."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, RidgeClassifier

from aef_jax.data.sampling.validation import ValidationExample
from aef_jax.evaluation.linear_probe import least_squares, linear_classifier, linear_regressor, probe_score
from aef_jax.evaluation.validation import Evaluation, ValidationReconstruction, probe_scores

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


@pytest.mark.parametrize("count", [500, 64, 20])
def test_least_squares_equals_scikit_learn(count):
    """Of fewer samples than features, the solution with the smallest norm."""
    generator = np.random.default_rng(0)
    x, queries = (generator.standard_normal((rows, 64)).astype(np.float32) + 3 for rows in (count, 50))
    y, weight = generator.standard_normal((count, 2)), generator.uniform(0.1, 2, count)
    wide, wide_queries = x.astype(np.float64), queries.astype(np.float64)
    expected = LinearRegression().fit(wide, y, weight).predict(wide_queries)
    np.testing.assert_allclose(least_squares(x, y, weight, queries), expected, atol=1e-7)
    expected = LinearRegression().fit(wide, y[:, 0]).predict(wide_queries)
    np.testing.assert_allclose(linear_regressor().predict(x, y[:, 0], queries), expected, atol=1e-7)


def test_the_classifier_equals_scikit_learn_on_signs():
    generator = np.random.default_rng(1)
    y = generator.choice([0, 2, 5], 90, p=[0.6, 0.3, 0.1])
    x = generator.standard_normal((90, 6)).astype(np.float32) + y[:, None] * np.arange(6)
    probe = RidgeClassifier(alpha=1e-9, class_weight="balanced").fit(x.astype(np.float64), y)
    np.testing.assert_array_equal(linear_classifier().predict(x, y, x), probe.predict(x.astype(np.float64)))


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


@pytest.mark.parametrize(("angle", "collapse"), [(0, 1), (np.pi / 3, 0.5), (np.pi / 2, 0)])
def test_collapse_is_the_cosine_of_examples_half_the_list_apart(angle, collapse):
    """Neighbors in the list, which may show the same ground, are equal here."""
    sides = [np.array([1, 0]), np.array([np.cos(angle), np.sin(angle)])]
    embeddings = [np.broadcast_to(side, (4, 4, 2)) for side in (sides[0], sides[0], sides[1], sides[1])]
    example = ValidationExample(None, None, 0, {})  # pyright: ignore[reportArgumentType]
    reconstructions = [ValidationReconstruction(example, np.zeros((4, 4, 1), np.float32), each) for each in embeddings]
    assert Evaluation(reconstructions, {}).collapse == pytest.approx(collapse, abs=1e-6)
