"""Support periods of the valid periods that are asked for."""

import logging
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Int64

from configs.config import Config
from configs.encodings.timecode import DAY_MS

Period = tuple[int, int]
"""[start, end) in epoch milliseconds."""


def default_support(period: Period, config: Config) -> Period:
    """Choose the support period of a valid period (ours: in the released annual fields a year is its own support).

    Args:
        period: the valid period.
        config: gives the length of the support period in training.

    Returns:
        The valid period if it is at least that long, else a period of that length around it.
    """
    length = config.data.support_days * DAY_MS
    if period[1] - period[0] >= length:
        return period
    start = (period[0] + period[1] - length) // 2
    return start, start + length


def group_by_support(periods: Sequence[Period], config: Config) -> dict[Period, list[Period]]:
    """Choose the support periods of several valid periods, so that few encodings give all fields (ours).

    Args:
        periods: the valid periods.
        config: gives the length of the support period in training.

    Returns:
        Valid periods by support period. If all lie in one support period they share it, around their middle: the twelve
        months of a year are summaries of one encoding. Otherwise each has its own, as in `default_support`.
    """
    hull = min(start for start, _ in periods), max(end for _, end in periods)
    if hull[1] - hull[0] <= config.data.support_days * DAY_MS:
        return {default_support(hull, config): list(periods)}
    groups: dict[Period, list[Period]] = {}
    for period in periods:
        groups.setdefault(default_support(period, config), []).append(period)
    return groups


def require_period(name: str, period: Period) -> None:
    """Refuse an empty period.

    Args:
        name: of the period in the message.
        period: [start, end) in epoch milliseconds.

    Raises:
        ValueError: the end is not after the start.
    """
    if period[0] >= period[1]:
        raise ValueError(f"the {name} period {format_days(*period)} is empty, expected an end after its start")


def tell_extrapolation(times_ms: Iterable[Int64[np.ndarray, "N"]], periods: Iterable[Period]) -> None:
    """Log a message for each valid period that lies before or after all frames.

    Args:
        times_ms: of the frames of each source, in order, at least one each.
        periods: the valid periods.
    """
    ends = [(int(of_source[0]), int(of_source[-1])) for of_source in times_ms]
    first, last = min(start for start, _ in ends), max(end for _, end in ends)
    for period in periods:
        if period[1] <= first or period[0] > last:
            logging.getLogger(__name__).warning(
                "the valid period %s lies outside of the frames, of %s: the field is extrapolated",
                format_days(*period),
                format_days(first, last),
            )


def format_days(start_ms: int, end_ms: int) -> str:
    """Format two instants as dates.

    Args:
        start_ms: epoch milliseconds.
        end_ms: epoch milliseconds.

    Returns:
        Such as 2018-01-01..2019-01-01.
    """
    return "..".join(str(np.datetime64(ms, "ms").astype("datetime64[D]")) for ms in (start_ms, end_ms))
