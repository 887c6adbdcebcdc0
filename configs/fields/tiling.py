"""Embedding fields of any area, tile by tile: cut, batch, compute and blend, for a model in either framework."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float32

from configs.batch import Frames
from configs.config import Config
from configs.encodings.timecode import TIMECODE_WIDTH, period_code, timecode
from configs.fields.layout import Strip, fitting_side, lay_out
from configs.fields.periods import Period, require_period, tell_extrapolation
from configs.fields.stacks import FrameStack, cut_stacks, select_frames, shown_pixels
from configs.fields.statistics import bands_with_data

Embed = Callable[[dict[str, Frames], Any], Any]
"""The model, in any framework: frames and codes of valid periods (B P 2*K) in NumPy arrays to mean directions
(B P H W D), in anything that `np.asarray` reads. It may return before they are computed."""


class Area(NamedTuple):
    """The frames of an area, and the valid periods of its fields."""

    stacks: Mapping[str, FrameStack]
    """z-scored frames by input source, all of the same area."""
    periods: Sequence[Period]
    support: Period
    """The period whose frames are used, all of them (paper, inference)."""
    where: str = ""
    """Names the area in messages, if given."""


class _Layout(NamedTuple):
    tiles: list[tuple[Strip, Strip]]
    shown: Bool[np.ndarray, "H W"]


class Tile(NamedTuple):
    """The frames of one tile, and the codes of its valid periods."""

    stacks: Mapping[str, FrameStack]
    codes: Float32[np.ndarray, "P K2"]


def embed_areas(
    embed: Embed, areas: Iterable[Area], config: Config, batch: int
) -> Iterator[Float32[np.ndarray, "P H W D"]]:
    """Compute the embedding fields of areas, one by one; see `embed_area`.

    Tiles of several areas share a batch if their sides are equal. The next areas are read while the model computes.

    Args:
        embed: the model.
        areas: the areas. They may be of different sizes.
        config: of the model.
        batch: tiles that are computed at once.

    Yields:
        The fields of each area, in their order.

    Raises:
        ValueError: as `embed_area`.
    """
    side = config.data.tile_side
    waiting: deque[tuple[Area, _Layout]] = deque()

    def cut() -> Iterator[Tile]:
        for area in areas:
            with _named(area.where):
                stacks = select_frames(area.stacks, area.support)
                shown = shown_pixels(stacks)
                tell_extrapolation((stack.time_ms for stack in stacks.values()), area.periods)
                codes = encode_periods(area.periods)
            tiles = list(product(lay_out(shown.shape[0], side), lay_out(shown.shape[1], side)))
            waiting.append((area, _Layout(tiles, shown)))
            sides = [fitting_side(length, side) for length in shown.shape]
            for rows, columns in tiles:
                yield Tile(cut_stacks(stacks, (rows.start, columns.start), sides), codes)

    results = embed_tiles(embed, cut(), batch)
    for first in results:
        area, (tiles, shown) = waiting.popleft()
        field = np.zeros((len(first), *shown.shape, config.model.embed_dim), np.float32)
        for index, (rows, columns) in enumerate(tiles):
            means = next(results) if index else first
            # cut before weighting: whatever the trimmed rim holds, even NaN, must not count
            field[:, rows.target, columns.target] += means[:, rows.used, columns.used] * weights_of(rows, columns)
        with _named(area.where):
            yield to_unit_vectors(field, shown)


def embed_area(embed: Embed, area: Area, config: Config, batch: int = 4) -> Float32[np.ndarray, "P H W D"]:
    """Compute the embedding field of an area over each of its valid periods, from one encoding.

    An area whose side is shorter than a tile makes tiles of the next multiple of 16. Beyond its far ends the area is
    continued by its mirror image, which is closer to the training data than no data, and which is cut off again.

    If a valid period lies before or after all frames, its field is extrapolated, and a log message says so.

    Args:
        embed: maps all frames of `batch` tiles and their valid periods to mean directions.
        area: the area. A source without a frame in the support period is left out.
        config: of the model.
        batch: tiles that are computed at once; the last batch repeats a tile.

    Returns:
        Unit vectors; NaN at a pixel that no frame of any source shows.

    Raises:
        ValueError: a period is empty, no source has a frame in the support period, none shows a pixel, the pixels are
            not z-scored, or an embedding is not finite.
    """
    side = config.data.tile_side
    height, width = next(iter(area.stacks.values())).pixels.shape[1:3]
    batch = min(batch, len(lay_out(height, side)) * len(lay_out(width, side)))
    (field,) = embed_areas(embed, [area], config, batch)
    return field


def embed_tiles(embed: Embed, tiles: Iterable[Tile], batch: int) -> Iterator[Float32[np.ndarray, "P h w D"]]:
    """Compute mean directions of tiles. The next batch is put together while the model computes.

    Args:
        embed: the model.
        tiles: in any order; neighbors of the same shape and number of periods share a batch.
        batch: tiles that are computed at once. One that is not full repeats its last tile.

    Yields:
        The mean directions of each tile, in their order.
    """
    computed: deque[tuple[int, Any]] = deque()
    for together in _batches(tiles, batch):
        padded = together + together[-1:] * (batch - len(together))
        computed.append((len(together), embed(_stack(padded), np.stack([tile.codes for tile in padded]))))
        if len(computed) > 1:
            count, means = computed.popleft()
            yield from np.asarray(means)[:count]
    for count, means in computed:
        yield from np.asarray(means)[:count]


def encode_periods(periods: Sequence[Period]) -> Float32[np.ndarray, "P K2"]:
    """Compute the codes of valid periods as models take them.

    Args:
        periods: the valid periods.

    Returns:
        The codes.

    Raises:
        ValueError: a period is empty.
    """
    for period in periods:
        require_period("valid", period)
    starts, ends = np.array(periods, np.int64).T
    return period_code(starts, ends).astype(np.float32)


def weights_of(rows: Strip, columns: Strip) -> Float32[np.ndarray, "h w 1"]:
    """Compute the weights of a tile's used pixels.

    Args:
        rows: of the tile.
        columns: of the tile.

    Returns:
        The products of both axes' weights.
    """
    return np.multiply.outer(rows.weight, columns.weight)[..., None]


def to_unit_vectors(
    field: Float32[np.ndarray, "P H W D"], shown: Bool[np.ndarray, "H W"]
) -> Float32[np.ndarray, "P H W D"]:
    """Normalize sums of weighted vectors in place.

    Args:
        field: the sums.
        shown: pixels that a frame shows.

    Returns:
        Unit vectors; NaN at the other pixels.

    Raises:
        ValueError: a vector is not finite.
    """
    field /= np.linalg.norm(field, axis=-1, keepdims=True)
    wrong = int((~np.isfinite(field).all(axis=-1)).sum())
    if wrong:
        raise ValueError(f"{wrong} of {len(field) * shown.size} pixels have no finite embedding")
    field[:, ~shown] = np.nan
    return field


@contextmanager
def _named(where: str) -> Iterator[None]:
    """Put the name of an area before the message of a ValueError."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{where}: {error}" if where else str(error)) from None


def _batches(tiles: Iterable[Tile], batch: int) -> Iterator[list[Tile]]:
    together: list[Tile] = []
    for tile in tiles:
        if together and (len(together) == batch or _shapes(tile) != _shapes(together[0])):
            yield together
            together = []
        together.append(tile)
    if together:
        yield together


def _shapes(tile: Tile) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return next(iter(tile.stacks.values())).pixels.shape[1:3], tile.codes.shape


def _stack(tiles: Sequence[Tile]) -> dict[str, Frames]:
    """Put the frames of tiles into arrays, with absent ones where a tile has fewer than others."""
    stacked = {}
    for name in dict.fromkeys(name for tile in tiles for name in tile.stacks):
        of_source = [tile.stacks.get(name) for tile in tiles]
        count = max(len(stack.time_ms) for stack in of_source if stack)
        shape = next(stack.pixels.shape[1:] for stack in of_source if stack)
        pixels = np.zeros((len(tiles), count, *shape), np.float32)
        times = np.zeros((len(tiles), count, TIMECODE_WIDTH), np.float32)
        for index, stack in enumerate(of_source):
            if stack:
                pixels[index, : len(stack.time_ms)] = stack.pixels
                times[index, : len(stack.time_ms)] = timecode(stack.time_ms)
        bands = bands_with_data(pixels)
        # as in training, a frame without data all over a tile is absent
        stacked[name] = Frames(pixels, times, bands.any(axis=-1), bands)
    return stacked
