"""Points with a class or a value: what all kinds of labels become."""

import math
from collections.abc import Collection, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64, Num

from configs.serialization.printable import printable, printable_value
from configs.validate import require

Task = Literal["classification", "regression", "change"]
CHANGE_CLASSES = ("0", "1")
"""Classes of the task `change`: 1 is changed."""


class RawLabels(NamedTuple):
    """Labels as a file has them."""

    lon: Float64[np.ndarray, "N"]
    """Degrees east, WGS 84."""
    lat: Float64[np.ndarray, "N"]
    """Degrees north, WGS 84."""
    values: Sequence[Any] | Num[np.ndarray, "N"]
    """Class or value of each; None, NaN and the empty text are no label."""
    row: Int64[np.ndarray, "N"]
    """Row or feature of the file, from 0: where the rows of a table of features belong."""
    group: Int64[np.ndarray, "N"]
    """Points of one group lie together: they are never in both the training and the test samples."""


class LabeledPoints(NamedTuple):
    """Points whose class or value is known."""

    where: str
    """The file or folder, for messages."""
    lon: Float64[np.ndarray, "N"]
    lat: Float64[np.ndarray, "N"]
    row: Int64[np.ndarray, "N"]
    group: Int64[np.ndarray, "N"]
    target: Num[np.ndarray, "N"]
    """Index of the class (int64), or the value to predict (float64)."""
    classes: tuple[str, ...]
    """Names of the classes; none for regression."""
    num_rows: int
    """Rows of the file, with those that have no label."""

    def select(self, points: Bool[np.ndarray, "N"] | Int64[np.ndarray, "M"]) -> "LabeledPoints":
        """Return some of the points. Classes without any point are dropped.

        Args:
            points: mask or indices.

        Returns:
            These points.
        """
        lon, lat, row, group, target = (of[points] for of in (self.lon, self.lat, self.row, self.group, self.target))
        classes = self.classes
        if classes:
            present, target = np.unique(target, return_inverse=True)
            classes = tuple(classes[index] for index in present)
        return self._replace(
            lon=lon, lat=lat, row=row, group=group, target=target.astype(self.target.dtype), classes=classes
        )


def label_points(where: str, raw: RawLabels, num_rows: int, task: Task, ignore: Collection[str] = ()) -> LabeledPoints:
    """Convert labels to classes or values, and leave out points without one.

    Args:
        where: the file or folder, for messages.
        raw: its labels.
        num_rows: rows of the file.
        task: what is predicted.
        ignore: classes or values, as text, that are no label.

    Returns:
        The points.

    Raises:
        ValueError: a value is no number, no point has a label, or there is only one class or value.
    """
    names, inverse = _names(raw.values)
    is_label = np.array([name != "" and name not in ignore for name in names], bool)[inverse]
    require(bool(is_label.any()), f"{where}: none of its {len(is_label):,} points has a label, expected at least two")
    target, classes = inverse.astype(np.int64), tuple(names)
    if task == "regression":
        values = np.array([_parse_value(where, name) if name not in ignore else math.nan for name in names])
        target, classes = values[inverse], ()
    points = LabeledPoints(where, raw.lon, raw.lat, raw.row, raw.group, target, classes, num_rows).select(is_label)
    require_several(points)
    if task == "change" and points.classes != CHANGE_CLASSES:
        names = ", ".join(map(printable, points.classes[:10]))
        raise ValueError(f"{where}: its classes are {names}, expected 0 (no change) and 1 (change)")
    return points


def require_several(points: LabeledPoints) -> None:
    """Require more than one class or value.

    Args:
        points: the points.

    Raises:
        ValueError: all have the same.
    """
    if len(points.classes) == 1 or (not points.classes and np.ptp(points.target) == 0):
        same = printable(points.classes[0]) if points.classes else f"{points.target[0]:g}"
        kind = "class" if points.classes else "value"
        raise ValueError(
            f"{points.where}: all {len(points.target):,} usable points have the {kind} {same}, expected at least two"
        )


def sample_points(points: LabeledPoints, most: int, seed: int) -> LabeledPoints:
    """Choose some of many points at random.

    Args:
        points: the points.
        most: the number to choose.
        seed: of the choice.

    Returns:
        The points, or `most` of them in their order.
    """
    if len(points.target) <= most:
        return points
    return points.select(np.sort(np.random.default_rng(seed).choice(len(points.target), most, replace=False)))


def _names(values: Sequence[Any] | np.ndarray) -> tuple[list[str], np.ndarray]:
    """Return the different labels as text, numbers first and in their order, and the index of each point's."""
    if isinstance(values, np.ndarray):
        different, inverse = np.unique(values, return_inverse=True)
        texts = [_as_text(value) for value in different.tolist()]
    else:
        texts, inverse = np.unique([_as_text(value) for value in values], return_inverse=True)
        texts = texts.tolist()
    order = sorted(range(len(texts)), key=lambda index: _sort_key(texts[index]))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return [texts[index] for index in order], rank[inverse]


def _as_text(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(int(value))
        case float():
            return "" if math.isnan(value) else repr(int(value) if value.is_integer() else value)
        case int() | str():
            return str(value).strip()
    raise ValueError(f"a label is {printable_value(value)}, expected a text or a number")


def _sort_key(name: str) -> tuple[bool, float, str]:
    try:
        return False, float(name), name
    except ValueError:
        return True, 0.0, name


def _parse_value(where: str, name: str) -> float:
    try:
        value = float(name) if name else math.nan
    except ValueError:
        raise ValueError(f"{where}: a value is {printable_value(name)}, expected numbers to regress") from None
    require(
        name == "" or math.isfinite(value), f"{where}: a value is {printable_value(name)}, expected a finite number"
    )
    return value
