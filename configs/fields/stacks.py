"""The z-scored frames of an area: select them by time, cut tiles out of them, and find the pixels that they show."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Int64

from configs.fields.periods import Period, format_days, require_period
from configs.fields.statistics import CLIP_SIGMA


class FrameStack(NamedTuple):
    """All z-scored frames of one source over one area, in the order of their times."""

    pixels: Float32[np.ndarray, "N H W C"]
    time_ms: Int64[np.ndarray, "N"]


def select_frames(stacks: Mapping[str, FrameStack], support: Period) -> dict[str, FrameStack]:
    """Select the frames that the encoder is given.

    Args:
        stacks: z-scored frames by source.
        support: their period.

    Returns:
        The frames in the support period, of the sources that have one.

    Raises:
        ValueError: the period is empty, no source has a frame in it, or the pixels are not z-scored.
    """
    require_frames({name: stack.time_ms for name, stack in stacks.items()}, support)
    cut = {}
    for name, (pixels, time_ms) in stacks.items():
        first, end = np.searchsorted(time_ms, support)
        if first < end:
            cut[name] = FrameStack(pixels[first:end], time_ms[first:end])
    for name, (pixels, _) in cut.items():
        if not max(pixels.max(), -pixels.min()) <= CLIP_SIGMA:
            raise ValueError(f"source {name} is not z-scored: a value lies beyond {CLIP_SIGMA:.0f} sigma")
    return cut


def require_frames(times_ms: Mapping[str, Int64[np.ndarray, "N"]], support: Period) -> None:
    """Refuse a support period without frames.

    Args:
        times_ms: of the frames by source, in order.
        support: the period.

    Raises:
        ValueError: the period is empty, or no source has a frame in it.
    """
    require_period("support", support)
    if not any(np.diff(np.searchsorted(times, support)) for times in times_ms.values()):
        times = [int(time) for of_source in times_ms.values() for time in of_source]
        have = f"they have frames of {format_days(min(times), max(times))}" if times else "they have none at all"
        raise ValueError(
            f"no frame of the input sources {sorted(times_ms)} in the support period {format_days(*support)}; {have}"
        )


def shown_pixels(stacks: Mapping[str, FrameStack]) -> Bool[np.ndarray, "H W"]:
    """Find the pixels that some frame shows: a score without data is exactly 0.

    Args:
        stacks: z-scored frames by source.

    Returns:
        True at a pixel that a frame shows.

    Raises:
        ValueError: there is no such pixel.
    """
    shown = np.logical_or.reduce([pixels.any(axis=(0, 3)) for pixels, _ in stacks.values()])
    if not shown.any():
        raise ValueError(f"no frame of {sorted(stacks)} in the support period holds data, expected some")
    return shown


def cut_stacks(stacks: Mapping[str, FrameStack], start: tuple[int, int], sides: Sequence[int]) -> dict[str, FrameStack]:
    """Cut a tile out of the frames of an area. Beyond the area's far ends it is the area's mirror image.

    Args:
        stacks: z-scored frames by source.
        start: first row and column of the tile.
        sides: rows and columns of the tile.

    Returns:
        The frames of the tile.
    """
    cuts = {}
    for name, (pixels, time_ms) in stacks.items():
        cut = pixels[:, start[0] : start[0] + sides[0], start[1] : start[1] + sides[1]]
        beyond = [(0, side - length) for side, length in zip(sides, cut.shape[1:3], strict=True)]
        cuts[name] = FrameStack(np.pad(cut, [(0, 0), *beyond, (0, 0)], mode="symmetric"), time_ms)
    return cuts
