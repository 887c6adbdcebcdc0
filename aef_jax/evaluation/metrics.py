"""Metrics of predictions (paper, S6), and their uncertainty."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64, Num

NUM_BOOTSTRAPS = 100
"""Resamples of the test samples (paper)."""
Metrics = dict[str, float]
Scorer = Callable[[np.ndarray, np.ndarray], Metrics]
"""Maps true and predicted classes or values to metrics."""


class Estimate(NamedTuple):
    """A metric and its uncertainty."""

    mean: float
    sigma: float
    """Standard deviation over folds, or over bootstrap resamples."""


class Tested(NamedTuple):
    """The test samples of a split that has one fold."""

    scorer: Scorer
    true: Num[np.ndarray, "N"]
    predicted: Num[np.ndarray, "N"]


def confusion_matrix(
    true: Int64[np.ndarray, "N"], predicted: Int64[np.ndarray, "N"], num_classes: int
) -> Int64[np.ndarray, "C C"]:
    """Count samples by their true class (row) and their predicted class (column).

    Args:
        true: indices of classes.
        predicted: indices of classes.
        num_classes: C.

    Returns:
        The counts.
    """
    return np.bincount(true * num_classes + predicted, minlength=num_classes**2).reshape(num_classes, num_classes)


def classification_metrics(confusion: Int64[np.ndarray, "C C"], num_trained: int) -> Metrics:
    """Compute the metrics of a classification.

    Args:
        confusion: counts; classes without a sample are not scored.
        num_trained: classes among the training samples: a random predictor chooses one of them.

    Returns:
        `balanced_accuracy`, the mean recall, and `kappa_adjusted_error`, the balanced error rescaled so that a random
        predictor has 1, which is the largest value: min(1, (1 - BA) / (1 - 1 / classes)).
    """
    samples = confusion.sum(axis=1)
    balanced = float((np.diag(confusion)[samples > 0] / samples[samples > 0]).mean())
    return {
        "balanced_accuracy": balanced,
        "kappa_adjusted_error": min(1.0, (1 - balanced) / (1 - 1 / num_trained)),
    }


def regression_metrics(true: Float64[np.ndarray, "N"], predicted: Num[np.ndarray, "N"]) -> Metrics:
    """Compute the metrics of a regression.

    Args:
        true: values.
        predicted: values.

    Returns:
        `r2` = 1 - (squared errors) / (squared deviations from the mean), NaN if all true values are equal; and `mae`,
        the mean absolute error.
    """
    error, spread = true - predicted, true - true.mean()
    total = float((spread**2).sum())
    r2 = 1 - float((error**2).sum()) / total if total else float("nan")
    return {"r2": r2, "mae": float(np.abs(error).mean())}


def over_folds(scores: Sequence[Metrics]) -> dict[str, Estimate]:
    """Combine the metrics of folds.

    Args:
        scores: of each fold.

    Returns:
        Mean and standard deviation over the folds.
    """
    return {name: Estimate(*_mean_and_sigma([score[name] for score in scores])) for name in scores[0]}


def over_bootstraps(scores: Sequence[Metrics], tests: Sequence[Tested], seed: int) -> dict[str, Estimate]:
    """Estimate the uncertainty of the mean over splits that have one fold each.

    Args:
        scores: of each split.
        tests: of each split.
        seed: of the resamples.

    Returns:
        The mean over the splits, and its standard deviation over `NUM_BOOTSTRAPS` resamples of all test samples.
    """
    generator, means = np.random.default_rng(seed), []
    for _ in range(NUM_BOOTSTRAPS):
        indices = [generator.integers(len(test.true), size=len(test.true)) for test in tests]
        resampled = [t.scorer(t.true[i], t.predicted[i]) for t, i in zip(tests, indices, strict=True)]
        means.append({name: estimate.mean for name, estimate in over_folds(resampled).items()})
    sigmas = over_folds(means)
    return {name: Estimate(estimate.mean, sigmas[name].sigma) for name, estimate in over_folds(scores).items()}


def _mean_and_sigma(values: Sequence[float]) -> tuple[float, float]:
    finite = [value for value in values if np.isfinite(value)]  # R2 of equal values is none
    return (float(np.mean(finite)), float(np.std(finite))) if finite else (float("nan"), float("nan"))
