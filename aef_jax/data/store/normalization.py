"""z-scores of whole sites and series, and the file of a run's statistics (paper, S1)."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32

from aef_jax.data.store.site import Series, Site
from aef_jax.files.atomic import replacing
from configs.fields.statistics import BandStatistics, has_data, scale_pixels
from configs.source import Source


@dataclass(frozen=True)
class Normalization(BandStatistics):
    """The statistics of a training set, applied to its sites."""

    def apply(self, site: Site, sources: tuple[Source, ...]) -> Site:
        """Scale and z-score a site.

        Args:
            site: as stored.
            sources: those of them that the site has are what it keeps.

        Returns:
            The site with z-scored series.
        """
        return replace(
            site, series={s.name: self.z_score(site.series[s.name], s) for s in sources if s.name in site.series}
        )

    def z_score(self, series: Series, source: Source) -> Series:
        """Scale and z-score the frames of one source.

        Args:
            series: as stored.
            source: its row of the table of sources.

        Returns:
            Frames in float32. What holds no number becomes 0, the mean, and is not valid. A class index stays what it
            is, and is valid where there is such a class.

        Raises:
            ValueError: there are no statistics of the source, or its bands are others.
        """
        if source.kind == "classes":
            valid = series.valid & there(series) & (series.pixels >= 0) & (series.pixels < source.classes)
            return replace(series, pixels=np.where(valid, series.pixels, 0), valid=valid, no_data=None)
        z, observed = self.z_score_pixels(series.pixels, source, series.no_data)
        return replace(series, pixels=z, valid=series.valid & observed, no_data=None)

    def save(self, path: Path) -> None:
        """Write the statistics as JSON.

        Args:
            path: the file, replaced as a whole.
        """
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(self.as_table(), indent=2))

    @classmethod
    def load(cls, path: Path) -> "Normalization":
        """Read what `save` wrote.

        Args:
            path: the file.

        Returns:
            The statistics.

        Raises:
            ValueError: the file is something else; the message names it.
        """
        try:
            return cls.from_table(json.loads(path.read_text()))
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ValueError(f"{path}: not the normalization of a run ({error})") from None


def there(series: Series) -> Bool[np.ndarray, "N H W C"]:
    """Find the pixels that hold data: a number that is not the series' `no_data`.

    Args:
        series: as stored.

    Returns:
        True where there is data.
    """
    return has_data(series.pixels, series.no_data)


def scaled(series: Series, source: Source) -> tuple[Float32[np.ndarray, "N H W C"], Bool[np.ndarray, "N H W C"]]:
    """Scale a series.

    Args:
        series: as stored.
        source: its row of the table of sources.

    Returns:
        Scaled pixels, NaN without data; and where they are valid observations: marked so, and within the band's range.

    Raises:
        ValueError: the series has another number of bands than the source.
    """
    values, observed = scale_pixels(series.pixels, source, series.no_data)
    return values, series.valid & observed
