"""Sample an embedding field at points."""

import numpy as np
from jaxtyping import Float32

from aef_jax.analysis.points import inside, read_pixels
from aef_jax.console.dates import format_period
from aef_jax.data.store.site import Period
from aef_jax.evaluation.labels.georeference import to_crs, to_pixels
from aef_jax.evaluation.labels.labeled_points import LabeledPoints
from aef_jax.inference.field import Field


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
    rows, columns = to_pixels(*to_crs(points.lon, points.lat, info.crs, where), info.transform)
    if not inside(info, rows, columns).any():
        raise ValueError(f"{points.where}: none of its {len(rows):,} points lies in {where}, expected some")
    return read_pixels(field, rows, columns)
