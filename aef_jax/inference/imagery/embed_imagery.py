"""Fields of any area, straight from the imagery of a build config, tile by tile.

Each finished tile is a file in `OUT.embedding`, so that a job that was killed goes on, and jobs of an array share the
work. The files' windows are then blended from the tiles. A pixel's vector does not depend on parts or on batches.
"""

import json
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from zlib import crc32

import numpy as np
from jaxtyping import Bool, Float32
from tqdm import tqdm

from aef_jax.console.dates import format_period
from aef_jax.data.build.frames.frames import Reject
from aef_jax.data.places.geometry import Rings
from aef_jax.files.resumable import Part, begin_work, end_work
from aef_jax.inference.field import FieldInfo, windows
from aef_jax.inference.imagery.areas import (
    Block,
    GroundTile,
    Region,
    blocks_of_tiles,
    regions_of_area,
    tiles_of_area,
)
from aef_jax.inference.imagery.tile_reader import TileReader, open_readers, read_block
from aef_jax.inference.imagery.tile_store import TileStore, tiles_near
from aef_jax.inference.read_ahead import read_ahead
from aef_jax.inference.request import Request
from configs.fields.periods import Period, group_by_support
from configs.fields.stacks import FrameStack, cut_stacks, shown_pixels
from configs.fields.tiling import Tile, embed_tiles, encode_periods, to_unit_vectors
from configs.serialization.printable import print_lines
from configs.serialization.read_file import read_text

WINDOW = 512
"""Rows and columns that are blended at once: a multiple of the blocks of all formats."""


class ImageryFields:
    """The fields of an area.

    Args:
        request: what to compute.
        config_path: the config that says where the imagery is.
        polygons: the area, in degrees.

    Raises:
        ValueError: the config or the area is wrong, or the target does not take the fields.
    """

    def __init__(self, request: Request, config_path: Path, polygons: Sequence[Rings]):
        self.request, self.embedder = request, request.weights.embedder
        self.side = self.embedder.config.data.tile_side
        self.tiles = tiles_of_area(polygons, self.side)
        self.regions = regions_of_area(polygons, self.tiles, self.side, request.target.max_side)
        request.target.require(len(self.regions), len(request.periods))
        self.supports = (
            {request.support: request.periods}
            if request.support
            else group_by_support(request.periods, self.embedder.config)
        )
        self.reader = TileReader(config_path, self.embedder)
        path = request.target.path
        self.folder = path.with_name(f"{path.name}.embedding")
        area = crc32(b"".join(ring.tobytes() for rings in polygons for ring in rings))
        plan = [request.weights.name, list(self.supports.items()), self.side, area, read_text(config_path)]
        begin_work(self.folder, json.dumps(plan), "another model, area, config or periods")

    def compute(self, workers: int, part: Part | None = None) -> list[Reject]:
        """Compute the tiles that are not finished.

        Args:
            workers: processes that read files; 0 for a thread.
            part: which share of the tiles; None for all.

        Returns:
            Files that were not used.

        Raises:
            ValueError: a tile cannot be read or computed; the message names it.
        """
        rejects: dict[Reject, None] = {}
        share = [self.tiles[i] for i in part.share(len(self.tiles))] if part else self.tiles
        with tqdm(total=len(share) * len(self.supports), desc="embedding", unit="tile") as bar:
            for support, periods in self.supports.items():
                store = TileStore(self.folder, support, self.side)
                pending = [tile for tile in share if not store.path(tile).exists()]
                bar.update(len(share) - len(pending))
                frames = self._read(pending, support, workers, rejects)
                for tile, vectors in self._compute(frames, periods, store.used):
                    store.save(tile, vectors)
                    bar.update()
        return list(rejects)

    def write(self) -> list[Path]:
        """Write the files of the fields from all finished tiles, and remove the tiles.

        Returns:
            The files.

        Raises:
            ValueError: no file shows the area in a support period.
        """
        paths = []
        for region in self.regions:
            near = tiles_near(self.tiles, region, self.side)
            stores = [(store := TileStore(self.folder, s, self.side), store.shown(near)) for s in self.supports]
            if any(tiles for _, tiles in stores):
                paths += self._write(region, stores)
        if not paths:
            supports = ", ".join(format_period(support, "..") for support in self.supports)
            raise ValueError(f"no file shows the area in the support period {supports}, expected some")
        end_work(self.folder)
        return paths

    def _read(
        self, tiles: Sequence[GroundTile], support: Period, workers: int, rejects: dict[Reject, None]
    ) -> Iterator[tuple[GroundTile, dict[str, FrameStack]]]:
        """Yield the frames of each tile."""
        with open_readers(self.reader, workers) as submit:

            def start(block: Block):
                return submit(read_block, block.grid, support)

            for block, frames in read_ahead(start, blocks_of_tiles(tiles, self.side), max(2, workers + 1)):
                rejects |= dict.fromkeys(frames.rejects)
                for tile in block.tiles:
                    yield tile, cut_stacks(frames.stacks, block.start(tile, self.side), (self.side, self.side))

    def _compute(
        self, tiles: Iterable[tuple[GroundTile, dict[str, FrameStack]]], periods: Sequence[Period], used: slice
    ) -> Iterator[tuple[GroundTile, Float32[np.ndarray, "P h w D"]]]:
        """Yield the unit vectors of the used pixels of each tile; of none if no file shows the tile."""
        codes = encode_periods(periods)
        order: deque[tuple[GroundTile, Bool[np.ndarray, "h w"] | None]] = deque()

        def shown_tiles() -> Iterator[Tile]:
            for tile, stacks in tiles:
                is_shown = any(stack.pixels.any() for stack in stacks.values())
                order.append((tile, shown_pixels(stacks)[used, used] if is_shown else None))
                if is_shown:
                    yield Tile(stacks, codes)

        def empty_tiles() -> Iterator[tuple[GroundTile, Float32[np.ndarray, "P h w D"]]]:
            while order and order[0][1] is None:
                yield order.popleft()[0], np.zeros((len(periods), 0, 0, 0), np.float32)

        for means in embed_tiles(self.embedder.model, shown_tiles(), self.request.weights.batch):
            yield from empty_tiles()
            tile, shown = order.popleft()
            assert shown is not None, "empty tiles are not computed"
            try:
                yield tile, to_unit_vectors(means[:, used, used].copy(), shown)
            except ValueError as error:
                raise ValueError(f"tile {tile.west} {tile.north} of EPSG:{tile.code}: {error}") from None
        yield from empty_tiles()

    def _write(self, region: Region, stores: Sequence[tuple[TileStore, Sequence[GroundTile]]]) -> list[Path]:
        target, dim = self.request.target, self.embedder.config.model.embed_dim
        fields = [
            (store, tiles, index, period)
            for store, tiles in stores
            for index, period in enumerate(self.supports[store.support])
        ]
        infos = [
            FieldInfo(region.crs, region.transform, region.shape, dim, period, store.support, self.request.weights.name)
            for store, _, _, period in fields
        ]
        with target.open(region.name, infos) as writers:
            for rows, columns in tqdm(list(windows(region.shape, WINDOW)), "writing", unit="window", leave=False):
                for writer, (store, tiles, index, _) in zip(writers, fields, strict=True):
                    field = store.blend(tiles, region, rows, columns, index)
                    if field is not None:
                        writer.write(rows, columns, field)
        return target.paths(region.name, [period for *_, period in fields])


def tell_rejects(rejects: Sequence[Reject]) -> None:
    """Print how many files were not used, and why the first one was not.

    Args:
        rejects: the files.
    """
    if rejects:
        more = f" ({len(rejects) - 1} more)" if len(rejects) > 1 else ""
        print_lines(f"aef: not used: {rejects[0].where}: {rejects[0].reason}{more}", file=sys.stderr)
