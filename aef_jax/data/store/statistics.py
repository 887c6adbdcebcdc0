"""Compute the mean and deviation of each band of the training data, in one streaming pass in float64 (paper, S1)."""

from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass

import numpy as np
from jaxtyping import Float32

from aef_jax.data.store.normalization import Normalization, scale_series
from aef_jax.data.store.site import Site
from configs.source import Source

MIN_DEVIATION = 1e-6
"""Deviation of a band that is the same everywhere."""


@dataclass(frozen=True)
class BandMoments:
    """The sums of one source from which statistics go on, a number for each band."""

    count: tuple[float, ...] = ()
    """Valid pixels."""
    mean: tuple[float, ...] = ()
    squares: tuple[float, ...] = ()
    """Sum of squared deviations from the mean."""


class Statistics:
    """Count, mean and sum of squared deviations of each band, over valid pixels after scaling.

    Sites are added one by one and merged by the method of Chan, Golub and LeVeque (1979), which loses no digits to a
    large mean.

    Args:
        sources: those with classes are left out.
    """

    def __init__(self, sources: tuple[Source, ...]):
        self.sources = tuple(source for source in sources if source.kind == "continuous")
        self.count = {source.name: np.zeros(source.channels) for source in self.sources}
        self.mean = {source.name: np.zeros(source.channels) for source in self.sources}
        self.squares = {source.name: np.zeros(source.channels) for source in self.sources}

    def add(self, site: Site) -> None:
        """Add the valid pixels of a site.

        Args:
            site: a training site, as stored.
        """
        for source in self.sources:
            if source.name in site.series:
                pixels, is_valid = scale_series(site.series[source.name], source)
                for band in range(source.channels):
                    self._merge(source.name, band, pixels[..., band][is_valid[..., band]])

    def moments(self) -> dict[str, BandMoments]:
        """Return what `resume` goes on from.

        Returns:
            The sums so far, by source.
        """
        columns = self.count, self.mean, self.squares
        return {s.name: BandMoments(*(tuple(column[s.name].tolist()) for column in columns)) for s in self.sources}

    @classmethod
    def resume(cls, sources: tuple[Source, ...], moments: Mapping[str, BandMoments]) -> "Statistics":
        """Go on from other sites, to the bit.

        Args:
            sources: those with classes are left out; those without moments begin without pixels.
            moments: of the other sites.

        Returns:
            The statistics of the other sites.

        Raises:
            ValueError: the moments are of other bands.
        """
        statistics = cls(sources)
        columns = statistics.count, statistics.mean, statistics.squares
        for source in statistics.sources:
            for column, numbers in zip(columns, astuple(moments.get(source.name, BandMoments())), strict=True):
                if numbers and len(numbers) != source.channels:
                    raise ValueError(f"source {source.name}: sums of {len(numbers)} bands, expected {source.channels}")
                column[source.name] = np.array(numbers or [0.0] * source.channels)
        return statistics

    def normalization(self) -> Normalization:
        """Return the statistics so far.

        Returns:
            Those of the sources with at least one valid pixel; NaN for a band without any.
        """
        mean, deviation = {}, {}
        for name, count in self.count.items():
            if not count.any():
                continue
            has_pixels = count > 0
            spread = np.sqrt(self.squares[name] / np.maximum(count, 1))
            mean[name] = np.where(has_pixels, self.mean[name], np.nan)
            deviation[name] = np.where(has_pixels, np.maximum(spread, MIN_DEVIATION), np.nan)
        return Normalization(mean, deviation)

    def _merge(self, name: str, band: int, values: Float32[np.ndarray, "n"]) -> None:
        if not len(values):
            return
        count, mean = self.count[name][band], self.mean[name][band]
        new_mean = values.mean(dtype=np.float64)
        new_squares = np.square(values - new_mean, dtype=np.float64).sum()
        total, difference = count + len(values), new_mean - mean
        self.squares[name][band] += new_squares + difference**2 * count * len(values) / total
        self.mean[name][band] = mean + difference * len(values) / total
        self.count[name][band] = total


def normalization_of(sites: Iterable[Site], sources: tuple[Source, ...]) -> Normalization:
    """Compute the statistics of some sites.

    Args:
        sites: training sites, as stored.
        sources: those with classes are left out.

    Returns:
        The statistics.

    Raises:
        ValueError: a source that some site has shows no valid pixel.
    """
    statistics, names = Statistics(sources), set()
    for site in sites:
        statistics.add(site)
        names |= set(site.series)
    normalization = statistics.normalization()
    for source in statistics.sources:
        if source.name in names and source.name not in normalization.mean:
            raise ValueError(f"source {source.name}: no valid pixel in any training site")
    return normalization
