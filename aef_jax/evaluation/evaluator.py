"""Evaluate features at labeled samples: draw training samples, predict the test samples, score the predictions."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int64, Num

from aef_jax.evaluation.metrics import (
    Estimate,
    Scorer,
    Tested,
    classification_metrics,
    confusion_matrix,
    over_bootstraps,
    over_folds,
    regression_metrics,
)
from aef_jax.evaluation.splits import Split
from aef_jax.evaluation.trials import Trial, draw_folds
from configs.validate import require


class Evaluator(NamedTuple):
    """A way to predict classes or values from few training samples."""

    name: str
    predict: Callable[..., Num[np.ndarray, "M"]]
    """Maps features (N F) and targets (N) of training samples, and features of test samples (M F), to predictions."""
    min_samples: int = 1
    """Training samples of each class that it needs; trials with fewer are left out."""


class Samples(NamedTuple):
    """What is evaluated: the features of labeled points, and how the points are divided."""

    features: Float32[np.ndarray, "N F"]
    target: Num[np.ndarray, "N"]
    """Indices of classes (int64), or values (float64)."""
    num_classes: int
    """0 for values."""
    splits: Sequence[Split]


class Scores(NamedTuple):
    """The result of one evaluator in one trial."""

    evaluator: str
    trial: str
    folds: int
    """Draws of training samples, over all splits."""
    training_samples: int
    """Of the largest fold."""
    metrics: dict[str, Estimate]
    confusion: Int64[np.ndarray, "C C"] | None
    """Sum over the folds: true classes in rows, predicted ones in columns; None for values."""
    predicted: Num[np.ndarray, "N"]
    """Of each sample in the last fold in which it was tested; -1 (a class) or NaN (a value) if it never was."""


def evaluate(samples: Samples, evaluator: Evaluator, trial: Trial, seed: int, max_folds: int = 1000) -> Scores | None:
    """Evaluate features by one evaluator in one trial.

    Classes that the training part of a split lacks are not scored in its test part.

    Args:
        samples: features, targets and splits.
        evaluator: predicts.
        trial: training samples of each class.
        seed: of the draws and the bootstrap.
        max_folds: the most draws, over all splits.

    Returns:
        The scores: mean and one standard deviation over the folds or, with one fold a split, over 100 bootstrap
        resamples of the test samples. None if the trial has fewer samples of each class than the evaluator needs.

    Raises:
        ValueError: a training part has fewer samples than the trial's shots or than two classes, or no test part shares
            a class with its training part.
    """
    if isinstance(trial, int) and trial < evaluator.min_samples:
        return None
    predicted = np.full(len(samples.target), -1 if samples.num_classes else np.nan, samples.target.dtype)
    scores, tests, confusions, most = [], [], [], 0
    for number, (training, test) in enumerate(samples.splits):
        x, y = samples.features[training], samples.target[training]
        test = test[np.isin(samples.target[test], y)] if samples.num_classes else test
        if not len(test) or len(np.unique(y)) < 2:
            continue
        draws = draw_folds(y, bool(samples.num_classes), trial, len(samples.splits), max_folds, [seed, number])
        score = _scorer(samples.num_classes, len(np.unique(y)))
        for fold in draws:
            predicted[test] = evaluator.predict(x[fold], y[fold], samples.features[test])
            scores.append(score(samples.target[test], predicted[test]))
            if samples.num_classes:
                confusions.append(confusion_matrix(samples.target[test], predicted[test], samples.num_classes))
            most = max(most, len(fold))
        tests.append(Tested(score, samples.target[test], predicted[test]))
    require(
        bool(tests), "no test part shares a class with a training part of two or more: give other --parts or --blocks"
    )
    metrics = over_bootstraps(scores, tests, seed) if len(scores) == len(tests) else over_folds(scores)
    confusion = np.sum(confusions, axis=0) if confusions else None
    return Scores(evaluator.name, str(trial), len(scores), most, metrics, confusion, predicted)


def _scorer(num_classes: int, num_trained: int) -> Scorer:
    if not num_classes:
        return regression_metrics
    return lambda true, guess: classification_metrics(confusion_matrix(true, guess, num_classes), num_trained)
