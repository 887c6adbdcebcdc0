"""Sample an embedding field at points."""

import numpy as np
from jaxtyping import Float32

from aef_jax.console.dates import format_period
from aef_jax.data.store.site import Period
from aef_jax.evaluation.labels.georeference import to_crs, to_pixels
from aef_jax.evaluation.labels.labeled_points import LabeledPoints
from aef_jax.inference.field import Field

WINDOW = 512
"""Rows and columns that are read at once."""


def sample_field(field: Field, where: str, points: LabeledPoints, period: Period | None) -> Float32[np.ndarray, "N D"]:
    """Read the vectors of a field at points.

    Args:
        field: the field.
        where: names it, for messages.
        points: the points.
        period: the valid period that the field must have; None: any.

    Returns:
        Unit vectors; NaN outside of the field and where it has no data.

    Raises:
        ValueError: the field is of another period or its crs is unknown, or no point lies in it.
    """
    info = field.info
    if period and info.period and period != info.period:
        raise ValueError(f"{where}: its period is {format_period(info.period)}, expected {format_period(period)}")
    row, column = to_pixels(*to_crs(points.lon, points.lat, info.crs, where), info.transform)
    inside = np.flatnonzero((row >= 0) & (row < info.shape[0]) & (column >= 0) & (column < info.shape[1]))
    if not len(inside):
        raise ValueError(f"{points.where}: none of its {len(row):,} points lies in {where}, expected some")
    features = np.full((len(row), info.embed_dim), np.nan, np.float32)
    windows = np.stack([row[inside] // WINDOW, column[inside] // WINDOW], axis=-1)
    _, number = np.unique(windows, axis=0, return_inverse=True)
    for index in np.split(
        inside[np.argsort(number.ravel(), kind="stable")], np.cumsum(np.bincount(number.ravel()))[:-1]
    ):
        top, left = row[index].min(), column[index].min()
        window = field.read(slice(top, row[index].max() + 1), slice(left, column[index].max() + 1))
        features[index] = window[row[index] - top, column[index] - left]
    return features
