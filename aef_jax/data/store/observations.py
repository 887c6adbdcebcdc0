"""Check that times and values can be those of a source: no other unit, no wrapped offset, no fill value."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int64

from aef_jax.console.dates import format_period
from aef_jax.data.store.normalization import scale_series
from aef_jax.data.store.site import Period, Series, Site
from configs.encodings.timecode import DAY_MS
from configs.fields.statistics import MAX_OUT_OF_RANGE
from configs.source import Band, Source

FIRST_YEAR_MS = 366 * DAY_MS
"""Instants in seconds, minutes or days since 1970 are within a year of it when read as milliseconds."""
MIN_SUPPORT_DAYS = 10
"""Days of two shortest valid periods: `data.min_period_days` is at least 5, and each half must hold one."""


class ValueCounts(NamedTuple):
    """How many values of each band count."""

    values: tuple[int, ...]
    """Values that are marked valid and hold data."""
    out_of_range: tuple[int, ...]
    """Those that are out of the band's valid range."""


def validate_times(site: Site, sources: dict[str, Source]) -> None:
    """Check that times are milliseconds, and that frames lie in the support period, which examples fit in.

    Args:
        site: the site. Static maps may have any time.
        sources: by name, all that the site has.

    Raises:
        ValueError: they are not; the message has the names of site and source.
    """
    timed = {name: series.time_ms for name, series in site.series.items() if sources[name].timed}
    for name, times in {**timed, "text": site.text.period_ms.ravel()}.items():
        early = np.count_nonzero(np.abs(times) < FIRST_YEAR_MS)
        if early:
            raise ValueError(
                f"site {site.name}, source {name}: {early} of {len(times)} times are within a year of 1970, expected"
                " epoch milliseconds: they seem to be in seconds or days"
            )
    for name, times in timed.items():
        if problem := outside_support(times, site.support):
            raise ValueError(
                f"site {site.name}, source {name}: {problem}, expected none: cut the site with Site.between, or give"
                " the period that the frames are of"
            )
    if site.support and site.support[1] - site.support[0] < MIN_SUPPORT_DAYS * DAY_MS:
        days = (site.support[1] - site.support[0]) / DAY_MS
        raise ValueError(
            f"site {site.name}: its support period has {days:g} days, expected at least {MIN_SUPPORT_DAYS}, in epoch"
            " milliseconds"
        )


def outside_support(times_ms: Int64[np.ndarray, "N"], support: Period | None) -> str:
    """Say how many frames lie outside of a support period.

    Args:
        times_ms: their times, sorted, in epoch milliseconds.
        support: the period; None for any.

    Returns:
        The start of a sentence; empty if all lie inside.
    """
    if support is None:
        return ""
    outside = np.count_nonzero((times_ms < support[0]) | (times_ms >= support[1]))
    if not outside:
        return ""
    frames = format_period((int(times_ms[0]), int(times_ms[-1])), "..")
    return (
        f"{outside} of {len(times_ms)} frames, of {frames}, are outside of the support period"
        f" {format_period(support, '..')}"
    )


def count_values(series: Series, source: Source) -> ValueCounts:
    """Count the values of each band that are marked valid.

    Args:
        series: as stored.
        source: gives valid ranges, scaling and classes.

    Returns:
        The counts.
    """
    marked_valid = np.broadcast_to(series.valid, series.pixels.shape) & series.has_data
    if source.kind == "classes":
        in_range = (series.pixels >= 0) & (series.pixels < source.classes)
    else:
        in_range = scale_series(series, source)[1]
    counts = (np.count_nonzero(mask, axis=(0, 1, 2)) for mask in (marked_valid, marked_valid & ~in_range))
    return ValueCounts(*(tuple(count.tolist()) for count in counts))


def out_of_range(where: str, source: Source, counts: ValueCounts, max_share: float = MAX_OUT_OF_RANGE) -> list[str]:
    """Say which bands have too many values out of range.

    Args:
        where: names the frames.
        source: the source.
        counts: of its values; empty ones, as in older data sets, have no problem.
        max_share: accepted share.

    Returns:
        A sentence for each band.
    """
    return [
        f"{where}, band {band.name}: {outside / values:.3%} of the values marked valid are out of range: expected"
        f" {_expected(source, band)}"
        for band, values, outside in zip(source.bands, *counts, strict=False)
        if outside > max_share * values
    ]


def _expected(source: Source, band: Band) -> str:
    if source.kind == "classes":
        return f"a class from 0 to {source.classes - 1}"
    if band.valid_range is None:
        return f"a value that the scaling {band.scaling!r} is defined for, in {band.unit}"
    return f"{band.valid_range[0]:g} to {band.valid_range[1]:g}, in {band.unit}"
