"""Tests of trials, evaluators and metrics, with numbers worked out by hand."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, mean_absolute_error, r2_score
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from aef_jax.evaluation.change import change_magnitude, unsupervised_change
from aef_jax.evaluation.evaluator import Evaluator, Samples, evaluate
from aef_jax.evaluation.knn import knn_classifier, knn_regressor
from aef_jax.evaluation.metrics import classification_metrics, confusion_matrix, regression_metrics
from aef_jax.evaluation.trials import count_folds, draw_folds, parse_trials
from tests.support.refusals import error_message


@pytest.mark.parametrize(("rarest", "folds"), [(75, 273), (1, 1000), (10, 500), (100, 250), (10**40, 1)])
def test_folds_are_those_of_the_paper(rarest, folds):
    """75: 2^(log10 75) = 2^1.87506 = 3.66827, and 1000 / 3.66827 = 272.6."""
    assert count_folds(rarest) == folds


def test_draws_are_balanced_and_without_repeats():
    target = np.repeat([0, 1, 2], [9, 4, 20])
    folds = draw_folds(target, True, "max", 2, 1000, [0, 0])
    assert len(folds) == -(-count_folds(4) // 2)
    assert all(np.bincount(target[fold]).tolist() == [4, 4, 4] for fold in folds)
    assert all(len(set(fold)) == len(fold) for fold in folds)
    assert len({tuple(sorted(fold)) for fold in folds}) > 100
    assert [len(fold) for fold in draw_folds(target, True, 2, 2, 7, [0, 0])] == [6] * 4
    refusal = "the rarest class of a training part has 4 samples, fewer than the 10 of the trial; leave out this trial"
    assert error_message(draw_folds, target, True, 10, 2, 1000, [0, 0]) == refusal


def test_equal_classes_values_and_all_samples_are_one_fold():
    (equal,) = draw_folds(np.repeat([0, 1], 5), True, "max", 2, 1000, [0])
    (values,) = draw_folds(np.arange(10.0), False, "max", 2, 1000, [0])
    (every,) = draw_folds(np.repeat([0, 1], [2, 8]), True, "all", 2, 1000, [0])
    assert equal.tolist() == values.tolist() == every.tolist() == list(range(10))
    assert len(draw_folds(np.arange(10.0), False, 1, 2, 1000, [0])) == 500, "ten shots of values are ten values"


def test_trials_are_parsed():
    assert parse_trials("1,10,max,all") == (1, 10, "max", "all")
    for text in ("0", "", "-1", "1,,2", "most", "1.5"):
        assert "expected a number of shots, max or all" in error_message(parse_trials, text)


def test_classification_metrics_by_hand():
    """Recalls are 3/4 and 1/2; a random predictor of two classes has 1/2."""
    confusion = confusion_matrix(np.array([0, 0, 0, 0, 1, 1]), np.array([0, 0, 0, 1, 1, 0]), 3)
    assert confusion.tolist() == [[3, 1, 0], [1, 1, 0], [0, 0, 0]]
    metrics = classification_metrics(confusion, 2)
    assert metrics == {"balanced_accuracy": 0.625, "kappa_adjusted_error": 0.75}
    assert classification_metrics(confusion, 3)["kappa_adjusted_error"] == pytest.approx(0.375 / (2 / 3))
    worse = classification_metrics(np.array([[0, 4], [4, 0]]), 2)
    assert worse == {"balanced_accuracy": 0, "kappa_adjusted_error": 1}, "clamped"
    assert classification_metrics(np.diag([3, 4]), 2)["kappa_adjusted_error"] == 0


def test_metrics_equal_scikit_learn():
    generator = np.random.default_rng(0)
    true, guess = generator.integers(4, size=(2, 200))
    score = classification_metrics(confusion_matrix(true, guess, 4), 4)["balanced_accuracy"]
    assert score == pytest.approx(balanced_accuracy_score(true, guess))
    values, close = generator.standard_normal((2, 50))
    expected = {"r2": r2_score(values, close), "mae": mean_absolute_error(values, close)}
    assert regression_metrics(values, close) == pytest.approx(expected)
    assert np.isnan(regression_metrics(np.ones(3), np.ones(3))["r2"])


@pytest.mark.parametrize("k", [1, 3])
def test_nearest_neighbors_equal_scikit_learn(k):
    generator = np.random.default_rng(0)
    x, queries = (generator.standard_normal((rows, 8)).astype(np.float32) for rows in (300, 3_000))
    y, values = generator.choice([0, 1, 4], 300), generator.standard_normal(300)
    expected = KNeighborsClassifier(k).fit(x, y).predict(queries)
    assert (knn_classifier(k).predict(x, y, queries) == expected).all()
    regressed = KNeighborsRegressor(k).fit(x, values).predict(queries)
    np.testing.assert_allclose(knn_regressor(k).predict(x, values, queries), regressed, rtol=1e-12)


def _recalls_one_class() -> Evaluator:
    return Evaluator("first", lambda x, y, queries: np.full(len(queries), y.min()))


def test_classes_that_training_lacks_are_not_scored():
    target = np.array([0, 1, 0, 1, 2])
    split = np.array([0, 1]), np.array([2, 3, 4])
    scores = evaluate(Samples(np.zeros((5, 1), np.float32), target, 3, [split]), _recalls_one_class(), "max", 0)
    assert scores is not None
    assert scores.metrics["balanced_accuracy"].mean == 0.5
    assert scores.confusion is not None
    assert scores.confusion.tolist() == [[1, 0, 0], [1, 0, 0], [0, 0, 0]]
    assert scores.predicted.tolist() == [-1, -1, 0, 0, -1]


def test_a_single_fold_is_bootstrapped():
    """The mean of 400 correct or wrong predictions with p = 0.9 has a deviation of sqrt(0.09 / 400) = 0.015.

    Half of the samples are of each class, whose recalls are 1 and 0.8: the deviation is sqrt(0.16 / 200) / 2 = 0.0141.
    """
    true = np.repeat([0, 1], 200)
    features = np.where(np.arange(400) % 5 == 0, 0, true)[:, None].astype(np.float32)
    x, y = np.concatenate([features, [[0], [1]]]), np.concatenate([true, [0, 1]])
    samples = Samples(x.astype(np.float32), y, 2, [(np.array([400, 401]), np.arange(400))])
    scores = evaluate(samples, knn_classifier(1), "max", 0)
    assert scores is not None
    assert scores.folds == 1
    mean, sigma = scores.metrics["balanced_accuracy"]
    assert mean == pytest.approx(0.9)
    assert sigma == pytest.approx(0.0141, rel=0.25)


def test_few_shots_are_drawn_anew_and_knn_needs_its_neighbors():
    generator = np.random.default_rng(0)
    y = np.repeat([0, 1], 50)
    x = (y[:, None] + generator.standard_normal((100, 2)) * 0.5).astype(np.float32)
    split = np.arange(0, 100, 2), np.arange(1, 100, 2)
    single, ten = (evaluate(Samples(x, y, 2, [split]), knn_classifier(1), shots, 0, 200) for shots in (1, 10))
    assert single is not None
    assert ten is not None
    assert (single.folds, single.training_samples, ten.training_samples) == (200, 2, 20)
    assert ten.metrics["balanced_accuracy"].mean > single.metrics["balanced_accuracy"].mean > 0.7
    assert ten.metrics["balanced_accuracy"].sigma < single.metrics["balanced_accuracy"].sigma
    assert evaluate(Samples(x, y, 2, [split]), knn_classifier(3), 1, 0) is None


def test_no_class_in_both_parts_is_refused():
    samples = Samples(np.zeros((4, 1), np.float32), np.array([0, 1, 2, 2]), 3, [(np.arange(2), np.arange(2, 4))])
    assert "no test part shares a class" in error_message(evaluate, samples, knn_classifier(1), "max", 0)


def test_change_magnitude_and_its_best_threshold():
    """Angles of 0, 60 and 180 degrees are magnitudes of 0, 1/4 and 1."""
    before = np.array([[2.0, 0], [1, 0], [1, 0]])
    after = np.array([[1.0, 0], [0.5, np.sqrt(0.75)], [-3, 0]])
    np.testing.assert_allclose(change_magnitude(before, after), [0, 0.25, 1], atol=1e-12)
    scores = unsupervised_change(before, after, np.array([0, 0, 1]), seed=0)
    assert scores.metrics["threshold"].mean == 0.3
    assert scores.metrics["balanced_accuracy"].mean == 1
    assert scores.predicted.tolist() == [0, 0, 1]
    lower = unsupervised_change(before, after, np.array([0, 1, 1]), seed=0)
    assert lower.metrics["threshold"].mean == 0.1
