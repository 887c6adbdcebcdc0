"""Overviews of a field: each pixel is the mean direction of the pixels of the field below it, as in the release.

The mean has the direction of the sum. Sums are kept in float32 from the field to the coarsest level, so that a level
holds no rounding of a finer one (ours). A mean of codes, which is what GDAL would make, is no mean of vectors.
"""

from contextlib import ExitStack
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from aef_jax.inference.encoding import StoredAs, encode, normalize
from configs.fields.quantize import dequantize

BLOCK_LEVELS = 8
"""Pixels are summed in blocks of 256 x 256, those of the file: 16 MiB of float32 for 64 bands."""


def write_overviews(base: Path, profile: dict[str, Any], dtype: StoredAs) -> None:
    """Write the overviews of a raster, down to one pixel, each beside the last as GDAL looks for them: `.ovr`.

    Args:
        base: the raster.
        profile: rasterio's options of it, taken for all levels.
        dtype: its number type.
    """
    import rasterio

    height, width, side = profile["height"], profile["width"], 2**BLOCK_LEVELS
    with rasterio.open(base) as source, ExitStack() as files:
        levels = []
        for level in range(1, (max(height, width) - 1).bit_length() + 1):
            size = {"height": -(-height // 2**level), "width": -(-width // 2**level)}
            levels.append(files.enter_context(rasterio.open(f"{base}{'.ovr' * level}", "w", **profile | size)))
        blocks = [range(-(-length // side)) for length in (height, width)]
        block_sums = np.zeros((*map(len, blocks), profile["count"]), np.float32)
        for row, column in product(*blocks):
            top, left = row * side, column * side
            stored = source.read(window=((top, min(top + side, height)), (left, min(left + side, width))))
            stored = np.ascontiguousarray(np.moveaxis(stored, 0, -1))
            vectors = dequantize(stored) if dtype == "int8" else stored
            vectors[np.isnan(vectors)] = 0
            block_sums[row, column] = _write_levels(levels[:BLOCK_LEVELS], vectors, (top, left), dtype)
        _write_levels(levels[BLOCK_LEVELS:], block_sums, (0, 0), dtype)


def sum_2x2(sums: Float32[np.ndarray, "h w D"]) -> Float32[np.ndarray, "H W D"]:
    """Add up four neighbors. A last row or column without a partner stays alone.

    Args:
        sums: of vectors.

    Returns:
        Half as many rows and columns, rounded up.
    """
    height, width = sums.shape[:2]
    if height % 2 or width % 2:
        sums = np.pad(sums, ((0, height % 2), (0, width % 2), (0, 0)))
    rows = sums[0::2] + sums[1::2]
    return rows[:, 0::2] + rows[:, 1::2]


def _write_levels(levels: list, sums: np.ndarray, corner: tuple[int, int], dtype: StoredAs) -> np.ndarray:
    """Write the part of each level that lies over some sums, and return the sum of all of them."""
    top, left = corner
    for dataset in levels:
        sums, top, left = sum_2x2(sums), top // 2, left // 2
        stored = np.moveaxis(encode(normalize(sums), dtype), -1, 0)
        dataset.write(stored, window=((top, top + stored.shape[1]), (left, left + stored.shape[2])))
    return sums.sum(axis=(0, 1))
