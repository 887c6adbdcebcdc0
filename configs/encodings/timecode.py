"""Times as sinusoidal codes, computed on the host in float64 from int64 milliseconds.

A float32 epoch in milliseconds has a grain of 131 s, and its sine would be noise; so no time ever is a float32. The
paper says "sinusoidal timecodes" and no more: the periods are ours.
"""

import numpy as np
from jaxtyping import Float, Int64

DAY_MS = 86_400_000
YEAR_DAYS = 365.2425
RELATIVE_HARMONICS = 8

PERIODS_DAYS = np.concatenate(
    [
        np.geomspace(4.0, 80 * YEAR_DAYS, 12),  # 4 days tell one day from the next; 80 years do not alias over 40
        YEAR_DAYS / np.arange(1, 5),  # the year and its harmonics: the season, whatever the year
    ]
)
TIMECODE_WIDTH = 2 * len(PERIODS_DAYS)
PERIOD_CODE_WIDTH = 2 * TIMECODE_WIDTH
RELATIVE_TIMECODE_WIDTH = 2 * RELATIVE_HARMONICS


def timecode(time_ms: Int64[np.ndarray, "*N"]) -> Float[np.ndarray, "*N K"]:
    """The code of an instant: sine and cosine of each of `PERIODS_DAYS`, in float64.

    Raises TypeError where the times are not int64 epoch milliseconds.
    """
    time_ms = np.asarray(time_ms)
    if time_ms.dtype != np.int64:
        raise TypeError(f"times are {time_ms.dtype}, expected int64 epoch milliseconds")
    turns = time_ms[..., None] / (PERIODS_DAYS * DAY_MS)
    return _sine_cosine(turns - np.floor(turns))


def period_code(start_ms: Int64[np.ndarray, "*N"], end_ms: Int64[np.ndarray, "*N"]) -> Float[np.ndarray, "*N 2K"]:
    """The code of a valid period [start, end): the timecodes of its two ends, side by side."""
    return np.concatenate([timecode(start_ms), timecode(end_ms)], axis=-1)


def relative_timecode(fraction: Float[np.ndarray, "*N"]) -> Float[np.ndarray, "*N R"]:
    """The code of a time within a period, given as its fraction in [0, 1) (paper, decoders; the harmonics are ours).

    Half turns, so that the period's two ends are told apart.
    """
    return _sine_cosine(np.asarray(fraction, np.float64)[..., None] * np.arange(1, RELATIVE_HARMONICS + 1) / 2)


def _sine_cosine(turns: Float[np.ndarray, "*N W"]) -> Float[np.ndarray, "*N 2W"]:
    return np.concatenate([np.sin(2 * np.pi * turns), np.cos(2 * np.pi * turns)], axis=-1)
