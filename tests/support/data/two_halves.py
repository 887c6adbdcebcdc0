"""Small embedding fields whose vectors are known."""

from pathlib import Path

import numpy as np

from aef_jax.data.store.site import to_ms
from aef_jax.inference.field import ArrayField, FieldInfo
from aef_jax.inference.writers.cog import write_cog

CRS, TRANSFORM = "EPSG:32631", (10.0, 0.0, 600000.0, 0.0, -10.0, 5629000.0)
LON, LAT = 4.4192495, 50.8040513
"""Degrees of the center of the pixel at row 0, column 0, as PROJ computes them."""
HALVES = np.eye(8, dtype=np.float32)[:2]
"""Vectors of the left and the right half of `two_halves`."""


def two_halves(height: int = 20, width: int = 30) -> ArrayField:
    """Make a field whose halves have orthogonal vectors, except for a pixel without data, the last one."""
    vectors = HALVES[(np.arange(width) >= width // 2).astype(int)][None].repeat(height, axis=0)
    vectors[-1, -1] = np.nan
    return ArrayField(FieldInfo(CRS, TRANSFORM, (height, width), 8), vectors)


def write_geotiff(path: Path, field: ArrayField, year: int = 2019) -> Path:
    """Write a field of a year."""
    period = to_ms(f"{year}-01-01"), to_ms(f"{year + 1}-01-01")
    info = field.info._replace(period=period, support=period, model="made by hand")
    with write_cog(path, info) as writer:
        writer.write(*(slice(0, length) for length in info.shape), field.vectors)
    return path


def degrees(row: int, column: int) -> tuple[float, float]:
    """Give longitude and latitude of a pixel's center, near enough for fields of a few hundred pixels."""
    return LON + column * 1.41871e-4 - row * 2.7234e-6, LAT - row * 8.99005e-5 - column * 1.7348e-6
