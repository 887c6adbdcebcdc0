"""Sinusoidal codes of times, computed on the host in float64 from int64 milliseconds.

Times are never float32: epoch milliseconds in float32 have a resolution of 131 s. The paper says only "sinusoidal
timecodes"; the periods are ours.
"""

import numpy as np
from jaxtyping import Float, Int64

DAY_MS = 86_400_000
YEAR_DAYS = 365.2425
RELATIVE_HARMONICS = 8
"""Harmonics of a relative timecode."""

PERIODS_DAYS = np.concatenate(
    [
        np.geomspace(4.0, 80 * YEAR_DAYS, 12),  # 4 days separate consecutive days; 80 years do not alias over 40
        YEAR_DAYS / np.arange(1, 5),  # the year and its harmonics encode the season
    ]
)
"""Periods of the sinusoids of a timecode."""
TIMECODE_WIDTH = 2 * len(PERIODS_DAYS)
"""K."""
PERIOD_CODE_WIDTH = 2 * TIMECODE_WIDTH
"""2*K."""
RELATIVE_TIMECODE_WIDTH = 2 * RELATIVE_HARMONICS
"""R."""


def timecode(time_ms: Int64[np.ndarray, "*N"] | np.int64) -> Float[np.ndarray, "*N K"]:
    """Encode instants.

    Args:
        time_ms: epoch milliseconds.

    Returns:
        Sines, then cosines, one for each of `PERIODS_DAYS`, in float64.

    Raises:
        TypeError: the times are not int64.
    """
    time_ms = np.asarray(time_ms)
    if time_ms.dtype != np.int64:
        raise TypeError(f"times are {time_ms.dtype}, expected int64 epoch milliseconds")
    turns = time_ms[..., None] / (PERIODS_DAYS * DAY_MS)
    return _sine_cosine(turns - np.floor(turns))


def period_code(
    start_ms: Int64[np.ndarray, "*N"] | np.int64, end_ms: Int64[np.ndarray, "*N"] | np.int64
) -> Float[np.ndarray, "*N K2"]:
    """Encode valid periods [start, end).

    Args:
        start_ms: epoch milliseconds of the starts.
        end_ms: epoch milliseconds of the ends.

    Returns:
        The timecodes of both ends, concatenated.
    """
    return np.concatenate([timecode(start_ms), timecode(end_ms)], axis=-1)


def relative_timecode(fraction: Float[np.ndarray, "*N"]) -> Float[np.ndarray, "*N R"]:
    """Encode times relative to a period, for decoders (paper; the harmonics are ours).

    The slowest sinusoid makes half a turn, so that the two ends of the period have different codes.

    Args:
        fraction: elapsed fraction of the period, in [0, 1).

    Returns:
        Sines, then cosines, one for each harmonic, in float64.
    """
    return _sine_cosine(np.asarray(fraction, np.float64)[..., None] * np.arange(1, RELATIVE_HARMONICS + 1) / 2)


def _sine_cosine(turns: Float[np.ndarray, "*N W"]) -> Float[np.ndarray, "*N 2*W"]:
    return np.concatenate([np.sin(2 * np.pi * turns), np.cos(2 * np.pi * turns)], axis=-1)
