"""Per-band mean and deviation of the training data, in one streaming pass in float64 (paper, S1)."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float32

from aef_jax.data.store.normalization import Normalization, scaled
from aef_jax.data.store.site import Site
from configs.source import Source

LEAST_DEVIATION = 1e-6
"""Of a band that is the same everywhere."""


class Statistics:
    """Count, mean and sum of squared deviations of each band, over valid pixels after scaling; sites are added one by
    one, and merged as Chan, Golub and LeVeque (1979) do, so that no digit is lost to a large mean.
    """

    def __init__(self, sources: tuple[Source, ...]):
        self.sources = tuple(source for source in sources if source.kind == "continuous")
        self.count = {source.name: np.zeros(source.channels) for source in self.sources}
        self.mean = {source.name: np.zeros(source.channels) for source in self.sources}
        self.squares = {source.name: np.zeros(source.channels) for source in self.sources}

    def add(self, site: Site) -> None:
        """Takes in a training site; held-out ones take no part."""
        for source in self.sources:
            if source.name in site.series:
                pixels, valid = scaled(site.series[source.name], source)
                for band in range(source.channels):
                    self._merge(source.name, band, pixels[..., band][valid[..., band]])

    def normalization(self) -> Normalization:
        """Of the sources with at least one valid pixel; NaN for a band that had none."""
        mean, deviation = {}, {}
        for name, count in self.count.items():
            if not count.any():
                continue
            seen = count > 0
            spread = np.sqrt(self.squares[name] / np.maximum(count, 1))
            mean[name] = np.where(seen, self.mean[name], np.nan)
            deviation[name] = np.where(seen, np.maximum(spread, LEAST_DEVIATION), np.nan)
        return Normalization(mean, deviation)

    def _merge(self, name: str, band: int, values: Float32[np.ndarray, "n"]) -> None:
        if not len(values):
            return
        count, mean = self.count[name][band], self.mean[name][band]
        mean_here = values.mean(dtype=np.float64)
        squares_here = np.square(values - mean_here, dtype=np.float64).sum()
        total, apart = count + len(values), mean_here - mean
        self.squares[name][band] += squares_here + apart**2 * count * len(values) / total
        self.mean[name][band] = mean + apart * len(values) / total
        self.count[name][band] = total


def normalization_of(sites: Iterable[Site], sources: tuple[Source, ...]) -> Normalization:
    """Statistics of all that `sites` hold of `sources`. Raises ValueError where a source has no valid pixel."""
    statistics, schema = Statistics(sources), set()
    for site in sites:
        statistics.add(site)
        schema |= set(site.series)
    normalization = statistics.normalization()
    for source in statistics.sources:
        if source.name in schema and source.name not in normalization.mean:
            raise ValueError(f"source {source.name}: no valid pixel in any training site")
    return normalization
