"""The decoders' targets: one frame of each source, with a summary period of its own (paper, S4)."""

import numpy as np
from jaxtyping import Float, Float32

from aef_jax.data.store.normalization import Normalization
from aef_jax.data.store.site import Period, Series
from configs.batch import Target
from configs.config import Config
from configs.encodings.timecode import DAY_MS, period_code, relative_timecode
from configs.source import Source


def choose_target(source: Source, series: Series, config: Config, rng: np.random.Generator) -> int | None:
    """Draw the frame to reconstruct among those with enough valid pixels.

    Args:
        source: an input needs `min_target_fraction`; a source that is only a target needs one valid pixel, as it may be
            as sparse as a lidar's shots.
        series: frames of the support period, as stored.
        config: gives `data.min_target_fraction`.
        rng: draws the order in which frames are tried.

    Returns:
        Index of the frame; None if no frame has enough.
    """
    min_fraction = config.data.min_target_fraction if source.is_input else 0
    for index in rng.permutation(len(series.time_ms)).tolist():
        frame = series.select_frames(slice(index, index + 1))
        fraction = (frame.valid & frame.has_data).mean()
        if fraction > 0 and fraction >= min_fraction:
            return index
    return None


def make_target(
    source: Source,
    series: Series,
    index: int,
    normalization: Normalization,
    support: Period,
    config: Config,
    rng: np.random.Generator,
) -> tuple[Target, Period]:
    """Make the target of one source.

    Args:
        source: the source.
        series: frames of the support period, as stored.
        index: the frame to reconstruct.
        normalization: statistics of the training set.
        support: the support period.
        config: gives the bounds of a period.
        rng: draws the summary period and the grid offset.

    Returns:
        The target, z-scored (a class index stays what it is), and its summary period.
    """
    time_ms = int(series.time_ms[index])
    # a static map has the date of its first frame, which may lie outside of the support period
    contained_ms = min(max(time_ms, support[0]), support[1] - 1)
    period = draw_period(support, config, rng, containing=contained_ms)
    frame = normalization.z_score(series.select_frames(slice(index, index + 1)), source)
    pixels, valid = frame.pixels[0], frame.valid[0]
    if source.kind == "classes":
        pixels, valid = pixels[..., 0].astype(np.int32), valid[..., 0]
    metadata = metadata_code(source, series.metadata[index])
    codes = summary_codes(source, period, contained_ms)
    return Target(pixels, valid, *codes, metadata, _draw_grid_offset(source, rng)), period


def no_target(
    source: Source, side: int, support: Period, config: Config, rng: np.random.Generator
) -> tuple[Target, Period]:
    """Make a target without a valid pixel, for a source with nothing to reconstruct.

    Args:
        source: the source.
        side: pixels of a tile's side.
        support: the support period.
        config: gives the bounds of a period.
        rng: draws the summary period and the grid offset.

    Returns:
        The target, and its summary period.
    """
    shape = (side, side) if source.kind == "classes" else (side, side, source.channels)
    dtype = np.int32 if source.kind == "classes" else np.float32
    period = draw_period(support, config, rng, containing=support[0])
    codes, metadata = summary_codes(source, period, support[0]), np.zeros(source.metadata_width, np.float32)
    target = Target(np.zeros(shape, dtype), np.zeros(shape, bool), *codes, metadata, _draw_grid_offset(source, rng))
    return target, period


def draw_period(bounds: Period, config: Config, rng: np.random.Generator, containing: int | None = None) -> Period:
    """Draw a valid period of at least `min_period_days`.

    Half of the lengths are log-uniform, so that days are drawn as often as seasons. Half are uniform, so that whole
    years are drawn too, whose embeddings must describe the course of the seasons (ours).

    Args:
        bounds: period that it lies within.
        config: gives `data.min_period_days`.
        rng: draws length and start.
        containing: epoch milliseconds that it contains; None for any.

    Returns:
        The period.
    """
    shortest, longest = config.data.min_period_days * DAY_MS, bounds[1] - bounds[0]
    uniform, logarithmic = rng.uniform(shortest, longest), np.exp(rng.uniform(np.log(shortest), np.log(longest)))
    length = int(uniform if rng.random() < 0.5 else logarithmic)
    low, high = bounds[0], bounds[1] - length
    if containing is not None:
        low, high = max(low, containing - length + 1), min(high, containing)
    start = int(rng.integers(low, high + 1))
    return start, start + length


def summary_codes(
    source: Source, period: Period, time_ms: int
) -> tuple[Float32[np.ndarray, "K2"], Float32[np.ndarray, "R"]]:
    """Encode a target's times.

    Args:
        source: one that is not timed has no time code.
        period: the summary period.
        time_ms: acquisition, in epoch milliseconds.

    Returns:
        Code of the summary period; and of the acquisition relative to that period, empty if the source is not timed.
    """
    fraction = (time_ms - period[0]) / (period[1] - period[0])
    time_code = relative_timecode(np.asarray(fraction)) if source.timed else np.zeros(0)
    return encode_period(period), time_code.astype(np.float32)


def encode_period(period: Period) -> Float32[np.ndarray, "K2"]:
    """Encode a period.

    Args:
        period: [start, end) in epoch milliseconds.

    Returns:
        The codes of both ends.
    """
    start, end = np.asarray(period, np.int64)
    return period_code(start, end).astype(np.float32)


def metadata_code(source: Source, metadata: Float[np.ndarray, "F"]) -> Float32[np.ndarray, "M"]:
    """Encode a frame's metadata for a decoder (ours).

    Args:
        source: names the fields.
        metadata: value of each field; NaN if it is unknown.

    Returns:
        Sine and cosine of an angle in degrees; -1 or +1 for a binary field; (0, 0) or 0 if it is unknown.

    Raises:
        ValueError: the number of fields is not the source's.
    """
    if len(metadata) != len(source.metadata):
        raise ValueError(
            f"source {source.name}: a frame has {len(metadata)} metadata fields, expected"
            f" {[fact.name for fact in source.metadata]}"
        )
    code = []
    for fact, value in zip(source.metadata, metadata, strict=True):
        if fact.kind == "angle":
            code += [np.sin(np.deg2rad(value)), np.cos(np.deg2rad(value))]
        else:
            code.append(2 * value - 1)
    return np.nan_to_num(np.array(code, np.float32))


def _draw_grid_offset(source: Source, rng: np.random.Generator):
    return rng.integers(max(1, round(source.regrid_m / 10)), size=2).astype(np.int32)
