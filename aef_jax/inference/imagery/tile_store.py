"""Finished tiles of fields that are being computed, a file each, in `OUT.embedding`; and their blend."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from aef_jax.files.atomic import replace_file
from aef_jax.inference.imagery.areas import GroundTile, Region
from configs.fields.layout import inner_strip, step_of
from configs.fields.periods import Period
from configs.fields.tiling import weights_of
from configs.source import PIXEL_M


class TileStore:
    """The tiles of one support period.

    Args:
        folder: of the files.
        support: the support period.
        side: of a tile, in pixels.
    """

    def __init__(self, folder: Path, support: Period, side: int):
        self.folder, self.support, self.side = folder, support, side
        strip = inner_strip(0, side)
        self.used, self.weights = strip.used, weights_of(strip, strip)

    def path(self, tile: GroundTile) -> Path:
        """Name the file of a tile.

        Args:
            tile: the tile.

        Returns:
            The file. It is there if the tile is finished.
        """
        start, end = self.support
        return self.folder / f"{start}_{end}_{tile.code}_{tile.west}_{tile.north}.npy"

    def save(self, tile: GroundTile, vectors: Float32[np.ndarray, "P h w D"]) -> None:
        """Keep a finished tile.

        Args:
            tile: the tile.
            vectors: unit vectors of its used pixels for each period, NaN where no frame shows one; of no pixel if no
                file shows the tile.
        """
        with replace_file(self.path(tile)) as temporary, temporary.open("wb") as file:
            np.save(file, vectors)

    def shown(self, tiles: Sequence[GroundTile]) -> list[GroundTile]:
        """Select the tiles that a file shows.

        Args:
            tiles: finished tiles.

        Returns:
            Those whose file holds vectors.
        """
        return [tile for tile in tiles if np.load(self.path(tile), mmap_mode="r", allow_pickle=False).size]

    def blend(
        self, tiles: Sequence[GroundTile], region: Region, rows: slice, columns: slice, period: int
    ) -> Float32[np.ndarray, "h w D"] | None:
        """Blend the tiles of a window.

        Args:
            tiles: finished tiles of the region's zone that a file shows; those far from the window are left out.
            region: the ground.
            rows: of the window, in the region.
            columns: of the window, in the region.
            period: index of the valid period.

        Returns:
            Unit vectors; NaN outside of the area and at pixels that no frame shows. None if there are no others.
        """
        shape = rows.stop - rows.start, columns.stop - columns.start
        total = None
        for tile in tiles:
            row, column = self._start(tile, region, rows, columns)
            length = self.used.stop - self.used.start
            if row >= shape[0] or column >= shape[1] or row <= -length or column <= -length:
                continue
            vectors = np.load(self.path(tile), mmap_mode="r", allow_pickle=False)
            if total is None:
                total = np.zeros((*shape, vectors.shape[-1]), np.float32)
            target = tuple(
                slice(max(0, start), min(start + length, end)) for start, end in zip((row, column), shape, strict=True)
            )
            source = tuple(
                slice(part.start - start, part.stop - start) for part, start in zip(target, (row, column), strict=True)
            )
            total[target] += vectors[period][source] * self.weights[source]
        if total is None:
            return None
        length = np.linalg.norm(total, axis=-1, keepdims=True)
        is_inside = region.is_inside(rows, columns)[..., None] & (length > 0)
        return np.divide(total, length, out=np.full_like(total, np.nan), where=is_inside)

    def _start(self, tile: GroundTile, region: Region, rows: slice, columns: slice) -> tuple[int, int]:
        """Return the first used row and column of a tile in a window."""
        inset = self.used.start - self.side // 8  # of the used part in the core; below 0
        row = (region.north - tile.north) // PIXEL_M - rows.start + inset
        return row, (tile.west - region.west) // PIXEL_M - columns.start + inset


def tiles_near(tiles: Sequence[GroundTile], region: Region, side: int) -> list[GroundTile]:
    """Select the tiles of a region's zone whose used part may reach it.

    Args:
        tiles: of all zones.
        region: the ground.
        side: of a tile, in pixels.

    Returns:
        The tiles, in their order.
    """
    extent = step_of(side) * PIXEL_M
    height, width = (length * PIXEL_M for length in region.shape)
    return [
        tile
        for tile in tiles
        if f"EPSG:{tile.code}" == region.crs
        and region.west - 2 * extent < tile.west < region.west + width + extent
        and region.north - height - extent < tile.north < region.north + 2 * extent
    ]
