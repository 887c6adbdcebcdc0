"""Trials: how many training samples an evaluator gets, and how often they are drawn (paper, S6)."""

import math
import re
from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Int64, Num

from configs.serialization.printable import printable
from configs.validate import require

Trial = int | Literal["max", "all"]
"""Training samples of each class (of all values, for regression): a number of shots; `max`, as many as the rarest class
has; or `all` samples (ours)."""


def parse_trials(text: str) -> tuple[Trial, ...]:
    """Convert the names of trials.

    Args:
        text: numbers above 0, `max` and `all`, with commas between them.

    Returns:
        The trials.

    Raises:
        ValueError: one of them is none.
    """
    trials: list[Trial] = []
    for name in text.split(","):
        if name == "max" or name == "all":
            trials.append(name)
        elif re.fullmatch("[1-9][0-9]{0,8}", name):
            trials.append(int(name))
        else:
            raise ValueError(f"trial {printable(name)!r} is none, expected a number of shots, max or all")
    return tuple(trials)


def count_folds(rarest: int) -> int:
    """Compute how often balanced training samples are drawn: round(1000 / 2^(log10 c)) (paper, for max trials).

    Trials of fewer shots use the same formula (ours).

    Args:
        rarest: c, the samples of each class that are drawn.

    Returns:
        The number of draws, 273 for 75 samples; at least 1.
    """
    return max(1, round(1000 / 2 ** math.log10(rarest)))


def draw_folds(
    target: Num[np.ndarray, "N"], is_class: bool, trial: Trial, num_splits: int, max_folds: int, seed: Sequence[int]
) -> list[Int64[np.ndarray, "M"]]:
    """Draw the training samples of each fold.

    Args:
        target: class or value of each sample of the training part.
        is_class: whether targets are classes. Values are drawn without regard to their size, and a `max` trial takes
            all of them.
        trial: how many samples to draw.
        num_splits: splits that share the folds.
        max_folds: the most folds of all splits.
        seed: of the draws.

    Returns:
        Indices for each fold. One fold, if every draw would be the same.

    Raises:
        ValueError: there are fewer samples than the trial's shots.
    """
    groups = [np.flatnonzero(target == name) for name in np.unique(target)] if is_class else [np.arange(len(target))]
    rarest = min(map(len, groups))
    shots = rarest if isinstance(trial, str) else trial
    few = f"the rarest class of a training part has {rarest}" if is_class else f"a training part has {rarest}"
    require(shots <= rarest, f"{few} samples, fewer than the {shots} of the trial; leave out this trial")
    if trial == "all" or all(len(group) == shots for group in groups):
        return [np.arange(len(target))]
    generator = np.random.default_rng(seed)
    folds = -(-min(count_folds(shots), max_folds) // num_splits)
    return [np.concatenate([generator.choice(group, shots, replace=False) for group in groups]) for _ in range(folds)]
