"""Open an embedding field."""

from pathlib import Path

import numpy as np

from aef_jax.inference.field import ArrayField, Field, FieldInfo
from aef_jax.inference.writers.geotiff import read_field


def open_field(path: str) -> Field:
    """Open a field to read windows of it.

    Args:
        path: of a GeoTIFF.

    Returns:
        The field.

    Raises:
        ValueError: there is no such field.
        ModuleNotFoundError: rasterio is not installed.
    """
    vectors, crs, transform = read_field(Path(path))
    vectors = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return ArrayField(FieldInfo(crs, transform, vectors.shape[:2], vectors.shape[2]), vectors)
