"""What the decoders must explain: one frame of each source, seen from a summary period of its own (paper, S4)."""

import numpy as np
from jaxtyping import Float, Float32

from aef_jax.data.store.normalization import Normalization, there
from aef_jax.data.store.site import Period, Series
from configs.batch import Target
from configs.config import Config
from configs.encodings.timecode import DAY_MS, period_code, relative_timecode
from configs.source import Source


def choose_target(source: Source, series: Series, config: Config, rng: np.random.Generator) -> int | None:
    """Index of the frame to reconstruct, among those that show enough; None where none does."""
    # what is only a target may be as sparse as a lidar's shots
    least = config.data.min_target_fraction if source.is_input else 0
    for index in rng.permutation(len(series.time_ms)).tolist():
        frame = series.select_frames(slice(index, index + 1))
        share = (frame.valid & there(frame)).mean()
        if share > 0 and share >= least:
            return index
    return None


def make_target(
    source: Source,
    series: Series,
    chosen: int,
    normalization: Normalization,
    support: Period,
    config: Config,
    rng: np.random.Generator,
) -> tuple[Target, Period]:
    """The target of one source, and the summary period that was drawn for it."""
    time_ms = int(series.time_ms[chosen])
    # a static map is dated like its first frame, which need not lie in the support period
    contained = min(max(time_ms, support[0]), support[1] - 1)
    period = draw_period(support, config, rng, containing=contained)
    frame = normalization.z_score(series.select_frames(slice(chosen, chosen + 1)), source)
    pixels, valid = frame.pixels[0], frame.valid[0]
    if source.kind == "classes":
        pixels, valid = pixels[..., 0].astype(np.int32), valid[..., 0]
    metadata = metadata_code(source, series.metadata[chosen])
    codes = summary_codes(source, period, contained)
    return Target(pixels, valid, *codes, metadata, _grid_offset(source, rng)), period


def no_target(
    source: Source, side: int, support: Period, config: Config, rng: np.random.Generator
) -> tuple[Target, Period]:
    """One without a valid pixel, where there is nothing to reconstruct; and a summary period."""
    shape = (side, side) if source.kind == "classes" else (side, side, source.channels)
    dtype = np.int32 if source.kind == "classes" else np.float32
    period = draw_period(support, config, rng, containing=support[0])
    codes, metadata = summary_codes(source, period, support[0]), np.zeros(source.metadata_width, np.float32)
    target = Target(np.zeros(shape, dtype), np.zeros(shape, bool), *codes, metadata, _grid_offset(source, rng))
    return target, period


def draw_period(bounds: Period, config: Config, rng: np.random.Generator, containing: int | None = None) -> Period:
    """A valid period within `bounds`, at least `min_period_days` long, that contains a given time.

    Half of the lengths are log-uniform, so that days are asked for as often as seasons, and half are uniform, so that
    whole years are, whose embeddings must tell the course of the seasons (ours).
    """
    least, most = config.data.min_period_days * DAY_MS, bounds[1] - bounds[0]
    uniform, logarithmic = rng.uniform(least, most), np.exp(rng.uniform(np.log(least), np.log(most)))
    length = int(uniform if rng.random() < 0.5 else logarithmic)
    low, high = bounds[0], bounds[1] - length
    if containing is not None:
        low, high = max(low, containing - length + 1), min(high, containing)
    start = int(rng.integers(low, high + 1))
    return start, start + length


def summary_codes(
    source: Source, period: Period, time_ms: int
) -> tuple[Float32[np.ndarray, "2K"], Float32[np.ndarray, "R"]]:
    """What a target says of its times: the code of its summary period, and of its acquisition within that period."""
    fraction = (time_ms - period[0]) / (period[1] - period[0])
    time_code = relative_timecode(np.asarray(fraction)) if source.timed else np.zeros(0)
    return encode_period(period), time_code.astype(np.float32)


def encode_period(period: Period) -> Float32[np.ndarray, "2K"]:
    code: Float[np.ndarray, "2K"] = period_code(np.asarray(period[0], np.int64), np.asarray(period[1], np.int64))
    return code.astype(np.float32)


def metadata_code(source: Source, facts: Float[np.ndarray, "F"]) -> Float32[np.ndarray, "M"]:
    """What a decoder is told: sine and cosine of an angle in degrees, -1 or +1 for a binary fact (ours).

    Raises ValueError where there is another number of facts than the source has.
    """
    if len(facts) != len(source.metadata):
        raise ValueError(
            f"source {source.name}: a frame has {len(facts)} facts, expected {[fact.name for fact in source.metadata]}"
        )
    code = []
    for fact, value in zip(source.metadata, facts, strict=True):
        if fact.kind == "angle":
            code += [np.sin(np.deg2rad(value)), np.cos(np.deg2rad(value))]
        else:
            code.append(2 * value - 1)
    return np.array(code, np.float32)


def _grid_offset(source: Source, rng: np.random.Generator):
    return rng.integers(max(1, round(source.regrid_m / 10)), size=2).astype(np.int32)
