"""Small embedding fields, in memory and in files."""

from pathlib import Path

import numpy as np

from aef_jax.data.store.site import to_ms
from aef_jax.inference.encoding import StoredAs
from aef_jax.inference.field import FieldInfo
from aef_jax.inference.writers.cog import write_cog

YEAR, SUPPORT = (to_ms("2019-01-01"), to_ms("2020-01-01")), (to_ms("2018-07-01"), to_ms("2020-07-01"))
INFO = FieldInfo(
    "EPSG:32631", (10.0, 0.0, 501360.0, 0.0, -10.0, 5629680.0), (40, 30), 64, YEAR, SUPPORT, "tiny, step 800"
)


def unit_field(height: int = 40, width: int = 30, bands: int = 64, seed: int = 0) -> np.ndarray:
    """Draw unit vectors; the first pixel is no data."""
    field = np.random.default_rng(seed).normal(size=(height, width, bands)).astype(np.float32)
    field /= np.linalg.norm(field, axis=-1, keepdims=True)
    field[0, 0] = np.nan
    return field


def save_cog(path: Path, field: np.ndarray, info: FieldInfo = INFO, dtype: StoredAs = "int8") -> Path:
    """Write a field at once, over the ground of `info`."""
    height, width, bands = field.shape
    with write_cog(path, info._replace(shape=(height, width), embed_dim=bands), dtype) as writer:
        writer.write(slice(0, height), slice(0, width), field)
    return path
