"""`aef evaluate`: sample features at labeled points, and evaluate them in every trial."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32
from tqdm import tqdm

from aef_jax.evaluation.change import unsupervised_change
from aef_jax.evaluation.evaluator import Evaluator, Samples, Scores, evaluate
from aef_jax.evaluation.features.sample_features import Imagery, parse_feature_spec, sample_features
from aef_jax.evaluation.knn import knn_classifier, knn_regressor
from aef_jax.evaluation.labels.labeled_points import LabeledPoints, Task, require_several
from aef_jax.evaluation.linear_probe import linear_classifier, linear_regressor
from aef_jax.evaluation.splits import make_splits
from aef_jax.evaluation.trials import Trial
from configs.serialization.printable import printable
from configs.validate import require

NEIGHBORS = (1, 3)
"""k of kNN (paper)."""
PAIR = ","
"""Between the features before and those after, for the task `change`."""


class Protocol(NamedTuple):
    """How features are evaluated."""

    task: Task = "classification"
    trials: tuple[Trial, ...] = (1, 10, "max")
    parts: int = 2
    """Parts of the samples; each is the test set once."""
    block_m: float = 0
    """Side of blocks of ground that are not divided, in meters; 0: none."""
    buffer_m: float = 0
    """Distance between training and test samples, in meters."""
    seed: int = 0
    max_folds: int = 1000
    """Most draws of training samples."""


class Result(NamedTuple):
    """The scores of one kind of features."""

    features: str
    width: int
    """Numbers per sample."""
    scores: Scores


class EvaluationReport(NamedTuple):
    """All results, and what they were computed on."""

    points: LabeledPoints
    """The points at which all features are known."""
    dropped: int
    """Points at which some features are not known."""
    protocol: Protocol
    results: list[Result]


def evaluators(task: Task) -> list[Evaluator]:
    """List the evaluators of a task.

    Args:
        task: what is predicted.

    Returns:
        kNN with k = 1 and 3, and the linear one.
    """
    if task == "regression":
        return [*map(knn_regressor, NEIGHBORS), linear_regressor()]
    return [*map(knn_classifier, NEIGHBORS), linear_classifier()]


def evaluate_features(
    points: LabeledPoints, features: Sequence[str], imagery: Imagery, protocol: Protocol
) -> EvaluationReport:
    """Evaluate several kinds of features on the same samples.

    Args:
        points: the labels.
        features: what names each kind; see `parse_feature_spec`. For the task `change`, two with a comma between them.
        imagery: frames for embeddings and designed features.
        protocol: how to evaluate.

    Returns:
        The results. Points at which some features are not known are left out.

    Raises:
        ValueError: features cannot be sampled, or the samples are too few.
    """
    sampled: dict[str, Float32[np.ndarray, "N F"]] = {}
    for text in tqdm(features, "features", unit="kind", leave=False, disable=None):
        name, values = _sample(text, points, imagery, protocol.task)
        require(name not in sampled, f"two features are called {printable(name)}: name one as in NAME=WHAT")
        sampled[name] = values
    is_known = np.logical_and.reduce([np.isfinite(values).all(axis=1) for values in sampled.values()])
    require(bool(is_known.any()), f"{points.where}: no point has all of the features {', '.join(sampled)}")
    known = points.select(is_known)
    require_several(known)
    splits = make_splits(known, protocol.parts, protocol.seed, protocol.block_m, protocol.buffer_m)
    results = []
    for name, values in tqdm(sampled.items(), "evaluating", unit="kind", leave=False, disable=None):
        samples = Samples(values[is_known], known.target, len(known.classes), splits)
        results += [Result(name, values.shape[1], scores) for scores in evaluate_samples(samples, protocol)]
    return EvaluationReport(known, int((~is_known).sum()), protocol, results)


def evaluate_samples(samples: Samples, protocol: Protocol) -> list[Scores]:
    """Evaluate one kind of features by all evaluators in all trials.

    Args:
        samples: the samples. For the task `change`, the second half of the features are those after.
        protocol: how to evaluate.

    Returns:
        The scores, without those of trials that have too few samples for an evaluator.

    Raises:
        ValueError: the samples are too few.
    """
    scores = []
    if protocol.task == "change":
        before, after = np.split(samples.features, 2, axis=1)
        scores.append(unsupervised_change(before, after, samples.target, protocol.seed))
    for trial in protocol.trials:
        for evaluator in evaluators(protocol.task):
            scores.append(evaluate(samples, evaluator, trial, protocol.seed, protocol.max_folds))
    return [score for score in scores if score is not None]


def _sample(text: str, points: LabeledPoints, imagery: Imagery, task: Task) -> tuple[str, Float32[np.ndarray, "N F"]]:
    if task != "change":
        spec = parse_feature_spec(text)
        return spec.name, sample_features(spec, points, imagery)
    specs = [parse_feature_spec(part) for part in text.split(PAIR)]
    require(len(specs) == 2, f"features {printable(text)!r} of the task change are no pair, expected BEFORE{PAIR}AFTER")
    before, after = (sample_features(spec, points, imagery) for spec in specs)
    require(
        before.shape == after.shape,
        f"features {printable(text)!r} have {before.shape[1]} numbers before, {after.shape[1]} after, expected equal",
    )
    return specs[0].name, np.concatenate([before, after], axis=1)
