"""Numbers for people."""

import math


def readable(number: float) -> str:
    """A number with its power of 1000, ready for a unit: `31.5 G`."""
    power = min(max(int(math.log10(number) / 3), 0), 6) if number >= 1 else 0
    return f"{number / 1000**power:.4g} {' kMGTPE'[power].strip()}"
