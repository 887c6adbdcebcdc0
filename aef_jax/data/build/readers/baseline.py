"""Sentinel-2's processing baseline, which tells whether digital numbers have an offset."""

import numpy as np

BASELINE_UNIT = "sentinel2 dn"
"""Digital numbers of Sentinel-2, of which `unit_of_baseline` tells the offset."""
WITH_OFFSET, WITHOUT_OFFSET = "sentinel2 dn, baseline 04.00", "sentinel2 dn, no offset"
OFFSET = 1000
"""What digital numbers of baseline 04.00 and later have added to reflectance * 10000."""
_FIRST_OFFSET_BASELINE = 4.0


def unit_of_baseline(baseline: float | None, where: str) -> str:
    """Return the unit of digital numbers of a Sentinel-2 product.

    Args:
        baseline: its processing baseline; None if it is unknown.
        where: names the file, for messages.

    Returns:
        `WITH_OFFSET` or `WITHOUT_OFFSET`.

    Raises:
        ValueError: the baseline is unknown.
    """
    if baseline is None:
        raise ValueError(
            f"{where}: neither a folder in its path, as N0400 in a SAFE's name, nor a catalog tells the baseline, which"
            f" {BASELINE_UNIT!r} needs"
        )
    return WITH_OFFSET if baseline >= _FIRST_OFFSET_BASELINE else WITHOUT_OFFSET


def require_offset(baseline: float | None, unit: str, converted_offset: float, where: str) -> None:
    """Refuse a conversion of digital numbers that contradicts the product's baseline.

    Args:
        baseline: of the product; None if it is unknown, which contradicts nothing.
        unit: that the config says. `WITHOUT_OFFSET` is believed of any baseline: the offset may have been taken off
            since.
        converted_offset: reflectance * 10000 that the config makes of the number `OFFSET`.
        where: names file and band, for messages.

    Raises:
        ValueError: the offset is left on, or one is taken off that is not there.
    """
    if baseline is None or unit == WITHOUT_OFFSET:
        return
    has_offset, of_baseline = baseline >= _FIRST_OFFSET_BASELINE, f"digital numbers of baseline {baseline:05.2f}"
    if has_offset and np.isclose(converted_offset, OFFSET, atol=1):
        raise ValueError(
            f"{where}: as {unit}, {OFFSET} is reflectance 0.1, but it is 0 in {of_baseline}: say {BASELINE_UNIT!r}, or"
            f" {WITHOUT_OFFSET!r} if the offset was taken off"
        )
    if not has_offset and np.isclose(converted_offset, 0, atol=1):
        raise ValueError(
            f"{where}: as {unit}, {OFFSET} is reflectance 0, but it is 0.1 in {of_baseline}: say {BASELINE_UNIT!r}"
        )
