"""Numbers as text."""

import math


def readable(number: float) -> str:
    """Format a number with the SI prefix of its power of 1000.

    Args:
        number: not negative.

    Returns:
        Four digits and the prefix, to be followed by a unit: `31.5 G`.
    """
    power = min(max(int(math.log10(number) / 3), 0), 6) if number >= 1 else 0
    return f"{number / 1000**power:.4g} {' kMGTPE'[power].strip()}"


def plural(number: int, unit: str) -> str:
    """Format a count with its unit.

    Args:
        number: the count.
        unit: name of one.

    Returns:
        The count with thousands separated, and the unit, with an s unless the count is 1.
    """
    return f"{number:,} {unit}{'s' * (number != 1)}"
