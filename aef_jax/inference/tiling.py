"""Embedding fields of whole sites, tile by tile.

The paper cuts tiles of 960 m, buffered by 160 m on each side (1.28 km, L = 128 pixels), and trims the outer 80 m of
what comes out. Here these are shares of the tile side L: a buffer of L/8, a trim of L/16. So neighbours overlap by L/8
after the trim, where they are blended linearly (ours).
"""

from collections.abc import Callable
from itertools import product
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32
from tqdm import tqdm

from aef_jax.data.store.normalization import CLIP_SIGMA
from aef_jax.data.store.site import Period, Site
from configs.batch import Frames
from configs.config import Config
from configs.encodings.timecode import DAY_MS, period_code, timecode
from configs.model import PIXELS_PER_SPACE_CELL

Embed = Callable[[dict[str, Frames], Float32[np.ndarray, "B P 2K"]], Float[np.ndarray, "B P H W D"]]
"""The model, in any framework: it is given NumPy arrays, and returns what `np.asarray` can read."""


FRAMES_MULTIPLE = 16
"""Frames of a source are filled up with absent ones to a multiple of it, so that not every site compiles anew."""


class Strip(NamedTuple):
    """One axis of one tile."""

    start: int
    """Where the tile begins in the site."""
    kept: slice
    """The part of the tile that is used; the rest is trimmed, or lies beyond the site."""
    weight: Float32[np.ndarray, "K"]
    """Above 0, for each pixel kept."""

    @property
    def target(self) -> slice:
        """Where the kept part lies in the site."""
        return slice(self.start + self.kept.start, self.start + self.kept.stop)


def lay_out(length: int, side: int) -> list[Strip]:
    """Covers an axis of `length` pixels with tiles of `side`.

    Origins are multiples of 3/4 of the side (960 m); the last tile is shifted inwards to end with the site, or a pixel
    beyond it. So all are even: the model's output doubles a grid of L/2, whose cells then are the same ground in all
    tiles. There is neither trim nor ramp at the ends of the site, which no other tile covers. An axis shorter than a
    tile is one strip.
    """
    if length <= side:
        return [Strip(0, slice(0, length), np.ones(length, np.float32))]
    trim, ramp = side // 16, side // 8
    last = length - side + (length - side) % 2
    starts = [*range(0, length - side, side - 2 * ramp), last]
    rising = np.concatenate([np.zeros(trim), (np.arange(ramp) + 0.5) / ramp, np.ones(side - trim - ramp)])
    strips = []
    for start in starts:
        weight = np.ones(side)
        if start > 0:
            weight *= rising
        if start + side < length:
            weight *= rising[::-1]
        inside = np.flatnonzero(weight[: length - start])
        kept = slice(inside[0], inside[-1] + 1)
        strips.append(Strip(start, kept, weight[kept].astype(np.float32)))
    return strips


def default_support(period: Period, config: Config) -> Period:
    """The valid period itself where it is as long as the support period of training, else one of that length around it.

    Ours: the paper's released fields are annual, and a valid year is its own support.
    """
    length = config.data.support_days * DAY_MS
    if period[1] - period[0] >= length:
        return period
    start = (period[0] + period[1] - length) // 2
    return start, start + length


def embed_site(
    embed: Embed, site: Site, config: Config, period: Period, *, support: Period | None = None, batch: int = 4
) -> Float32[np.ndarray, "H W D"]:
    """The embedding field of a scaled, z-scored site over a valid period: unit vectors.

    Args:
        embed: maps all frames of `batch` tiles and their one valid period to mean directions. It is always called with
            the same shapes; the last batch repeats a tile.
        support: the period whose frames are used, all of them (paper, inference); by default `default_support`. The
            valid period may lie outside of it.

    A side of the site that is shorter than a tile makes tiles of the next multiple of 16. Beyond its far ends the site
    is continued by its mirror image, which the model knows better than no-data, and which is cut off again. A source
    without a frame in the support period is left out.

    Raises ValueError where a period is empty, no input source has a frame in the support period, the site is not
    z-scored, or an embedding is not finite.
    """
    support = support or default_support(period, config)
    check_period("valid", *period)
    check_period("support", *support)
    seen = _seen(site, config, support)
    side, (height, width) = config.data.tile_side, site.shape
    tiles = list(product(lay_out(height, side), lay_out(width, side)))
    shape = _tile_side(height, side), _tile_side(width, side)
    batch = min(batch, len(tiles))
    starts, ends = np.array([period], np.int64).T
    codes = np.tile(period_code(starts, ends), (batch, 1, 1)).astype(np.float32)

    field = np.zeros((height, width, config.model.embed_dim), np.float32)
    for first in tqdm(range(0, len(tiles), batch), f"embedding {site.name}", unit="batch", leave=False, disable=None):
        chosen = tiles[first : first + batch]
        padded = chosen + chosen[-1:] * (batch - len(chosen))
        means = np.asarray(embed(_frames(seen, padded, shape), codes))[:, 0]
        for (rows, columns), mean in zip(chosen, means, strict=False):
            # cut before it is weighted: whatever the trimmed rim holds, were it NaN, must not count
            kept = mean[rows.kept, columns.kept] * np.multiply.outer(rows.weight, columns.weight)[..., None]
            field[rows.target, columns.target] += kept
    field /= np.linalg.norm(field, axis=-1, keepdims=True)
    wrong = int((~np.isfinite(field).all(axis=-1)).sum())
    if wrong:
        raise ValueError(f"site {site.name}: {wrong} of {height * width} pixels have no finite embedding")
    return field


def check_period(name: str, start_ms: int, end_ms: int) -> None:
    """Raises ValueError where [start, end) is empty."""
    if start_ms >= end_ms:
        raise ValueError(f"the {name} period {_iso(start_ms, end_ms)} is empty, expected an end after its start")


def _tile_side(length: int, side: int) -> int:
    return min(side, -(-length // PIXELS_PER_SPACE_CELL) * PIXELS_PER_SPACE_CELL)


def _seen(site: Site, config: Config, support: Period) -> Site:
    """The frames that the encoder is given."""
    inputs = [source.name for source in config.input_sources if source.name in site.series]
    seen = {name: site.series[name].between(*support) for name in inputs}
    seen = {name: series for name, series in seen.items() if len(series.time_ms)}
    if not seen:
        times = [time for name in inputs for time in site.series[name].time_ms]
        have = f"theirs are of {_iso(int(min(times)), int(max(times)))}" if times else "they have none at all"
        raise ValueError(
            f"site {site.name}: no frame of the input sources {inputs} in the support period {_iso(*support)}; {have}"
        )
    for name, series in seen.items():
        if not max(series.pixels.max(), -series.pixels.min()) <= CLIP_SIGMA:
            raise ValueError(f"site {site.name}: {name} is not z-scored, expected what Normalisation.apply returns")
    return Site(site.name, seen, site.crs, site.transform)


def _frames(seen: Site, tiles: list[tuple[Strip, Strip]], shape: tuple[int, int]) -> dict[str, Frames]:
    """All frames of some tiles, each of `shape`."""
    frames = {}
    for name, series in seen.series.items():
        cuts = []
        for rows, columns in tiles:
            cut = series.pixels[:, rows.start : rows.start + shape[0], columns.start : columns.start + shape[1]]
            beyond = [(0, side - there) for side, there in zip(shape, cut.shape[1:3], strict=True)]
            cuts.append(np.pad(cut, [(0, 0), *beyond, (0, 0)], mode="symmetric"))
        times = np.tile(timecode(series.time_ms), (len(tiles), 1, 1)).astype(np.float32)
        pixels = np.stack(cuts)
        absent = -len(series.time_ms) % FRAMES_MULTIPLE
        pixels = np.pad(pixels, [(0, 0), (0, absent), (0, 0), (0, 0), (0, 0)])
        times = np.pad(times, [(0, 0), (0, absent), (0, 0)])
        # scores that are exactly 0 all over a tile are those of no data: as in training, such a frame is absent
        frames[name] = Frames(pixels, times, pixels.any(axis=(2, 3, 4)))
    return frames


def _iso(start_ms: int, end_ms: int) -> str:
    return "..".join(str(np.datetime64(ms, "ms").astype("datetime64[D]")) for ms in (start_ms, end_ms))
