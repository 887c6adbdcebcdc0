"""Dates as text."""

import numpy as np


def format_date(time_ms: int) -> str:
    """Format the day of an instant.

    Args:
        time_ms: epoch milliseconds.

    Returns:
        The date in ISO 8601, UTC, such as 2018-01-01.
    """
    return str(np.datetime64(time_ms, "ms").astype("datetime64[D]"))


def format_period(period: tuple[int, int], separator: str = " to ") -> str:
    """Format a period [start, end) by the days of its ends.

    Args:
        period: epoch milliseconds of start and end.
        separator: text between the dates.

    Returns:
        Both dates in ISO 8601, UTC.
    """
    return separator.join(format_date(time_ms) for time_ms in period)
