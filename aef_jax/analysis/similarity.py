"""Search a field for pixels like those at given points."""

from pathlib import Path

import numpy as np

from aef_jax.analysis.picture import LONGEST, MapPicture, value_limits
from aef_jax.analysis.points import Positions, locate, mean_vector
from aef_jax.analysis.raster import RasterLayout, create_raster, read_reduced
from aef_jax.analysis.windows import each_window
from aef_jax.console.units import plural
from aef_jax.inference.field import Field


def write_similarity(field: Field, positions: Positions, output: Path) -> Path:
    """Write the cosine similarity of each pixel to the mean vector of points, and a picture.

    Args:
        field: the field.
        positions: the points, at least one.
        output: the GeoTIFF: one float32 band from -1 to 1; NaN is no data.

    Returns:
        Path of the picture.

    Raises:
        ValueError: a point lies outside of the field or on a pixel without data.
    """
    query = mean_vector(field, positions)
    with create_raster(output, field.info, RasterLayout(("cosine similarity",), "float32", np.nan)) as write:
        for window in each_window(field.info.shape, "search"):
            write(window, (field.read(*window) @ query)[..., None])
    picture = MapPicture(field.info, f"Similarity to {plural(len(positions), 'point')}")
    values = read_reduced(output, LONGEST)[..., 0]
    picture.draw_values(values, "cosine similarity", value_limits(values, top=1.0))
    picture.mark(*locate(field.info, positions))
    return picture.save(output)
