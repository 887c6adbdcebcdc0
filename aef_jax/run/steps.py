"""Choose a checkpoint of a run by its step, and read it only if it is whole."""

import math
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from itertools import chain, count
from pathlib import Path
from typing import Any, Literal

import orbax.checkpoint as ocp

from aef_jax.files.machine_limits import describe_limit
from aef_jax.run.checksums import verify
from aef_jax.run.format import METRICS, score_of
from configs.serialization.printable import sentence
from configs.serialization.read_file import read_text, require_inside
from configs.serialization.strict_json import loads

Which = int | Literal["latest", "best"]
"""Which checkpoint of a run: that of a step, of the most steps, or of the lowest validation loss."""


def checkpoint_steps(folder: Path) -> list[int]:
    """List the checkpoints in a folder without creating or changing anything.

    Args:
        folder: the run's folder of checkpoints, which need not exist.

    Returns:
        The steps of all checkpoints, ascending.
    """
    return sorted(ocp.utils.checkpoint_steps(folder.absolute())) if folder.is_dir() else []


def find_step(folder: Path, which: Which) -> int:
    """Find a checkpoint.

    Args:
        folder: the run's folder of checkpoints.
        which: the checkpoint.

    Returns:
        Its step.

    Raises:
        ValueError: there is no such checkpoint.
    """
    steps = checkpoint_steps(folder)
    if not steps:
        raise ValueError(f"{folder} holds no checkpoint: train first")
    if which == "latest":
        return steps[-1]
    if which == "best":
        return _best(folder, steps)
    if which not in steps:
        raise ValueError(f"{folder} holds no checkpoint {which}, expected one of the steps {steps}")
    return which


@contextmanager
def reading(folder: Path, step: int, items: Collection[str] | None = None) -> Iterator[Path]:
    """Verify items of a checkpoint, and turn whatever is raised for damage within the context into one sentence.

    Args:
        folder: the run's folder of checkpoints.
        step: of the checkpoint.
        items: the items that are read; by default all.

    Yields:
        The checkpoint's folder, absolute.

    Raises:
        ValueError: the checkpoint is damaged; the message names the damage and the newest whole checkpoint.
    """
    checkpoint = folder.absolute() / str(step)
    try:
        require_inside(folder, checkpoint)
        verify(checkpoint, items)
        try:
            yield checkpoint
        except Exception as error:
            if describe_limit(error):  # the machine's, and no damage
                raise
            raise ValueError(f"{checkpoint} cannot be read: {sentence(error)}") from error
    except ValueError as error:
        newest = _newest_whole(folder, step, items or None)
        whole = "no other checkpoint is whole" if newest is None else f"the newest whole checkpoint is {newest}"
        raise ValueError(f"{error}; {whole}") from error


def require_whole(folder: Path, step: int) -> None:
    """Verify all items of a checkpoint.

    Args:
        folder: the run's folder of checkpoints.
        step: of the checkpoint.

    Raises:
        ValueError: as `reading`.
    """
    with reading(folder, step):
        pass


def go_back(folder: Path, step: int, aside: Path) -> None:
    """Make a checkpoint the latest one. Later ones are moved away, not deleted.

    Args:
        folder: the run's folder of checkpoints.
        step: of the checkpoint.
        aside: the folder that takes the later ones, each under the first free of the names STEP, STEP-2, STEP-3.

    Raises:
        ValueError: there is no such checkpoint, or it is damaged; nothing is moved.
    """
    require_whole(folder, find_step(folder, step))
    aside.mkdir(exist_ok=True)
    # the latest first: if this is interrupted, the latest of the rest is still a checkpoint of the run
    for later in reversed([each for each in checkpoint_steps(folder) if each > step]):
        names = chain([str(later)], (f"{later}-{number}" for number in count(2)))
        (folder / str(later)).rename(next(path for name in names if not (path := aside / name).exists()))


def read_json_item(checkpoint: Path, item: str) -> dict[str, Any] | None:
    """Read an item that is JSON.

    Args:
        checkpoint: the checkpoint's folder.
        item: its name.

    Returns:
        The object, or None if there is none.

    Raises:
        ValueError: the file is not the JSON of an object; the message names it.
    """
    file = checkpoint / item / (METRICS if item == METRICS else "metadata")
    if not file.is_file():
        return None
    tree = loads(file, read_text(file), finite=item != METRICS)  # Orbax wrote losses that are not finite
    if not isinstance(tree, dict):
        raise ValueError(f"{file} is not the JSON of an object")
    return tree


def read_score(folder: Path, step: int) -> float | None:
    """Read the validation loss of a checkpoint.

    Args:
        folder: the run's folder of checkpoints.
        step: of the checkpoint.

    Returns:
        The loss, or None if the model was not evaluated at this step, or its loss was not finite.

    Raises:
        ValueError: the item is damaged.
    """
    with reading(folder, step, {METRICS}) as checkpoint:
        scores = read_json_item(checkpoint, METRICS)
        score = None if scores is None else float(score_of(scores))
    return score if score is not None and math.isfinite(score) else None


def require_scores(folder: Path) -> None:
    """Require that the validation losses of all checkpoints can be read: training keeps the best.

    Args:
        folder: the run's folder of checkpoints.

    Raises:
        ValueError: one is damaged; the message says how to go on.
    """
    *older, latest = checkpoint_steps(folder) or [None]
    for step in older:
        try:
            verify(folder / str(step), {METRICS})
            read_json_item(folder / str(step), METRICS)
        except ValueError as error:
            raise ValueError(f"{error}; to go on without it, move {folder / str(step)} away") from error
    if latest is not None:
        read_score(folder, latest)


def _best(folder: Path, steps: list[int]) -> int:
    scores = {step: score for step in steps if (score := read_score(folder, step)) is not None}
    if not scores:
        raise ValueError(f"{folder}: no checkpoint has a validation loss, so none is the best")
    return min(scores, key=lambda step: scores[step])


def _newest_whole(folder: Path, damaged: int, items: Collection[str] | None) -> int | None:
    for step in reversed(checkpoint_steps(folder)):
        with suppress(ValueError, OSError):
            if step != damaged:
                verify(folder / str(step), items)
                return step
    return None
