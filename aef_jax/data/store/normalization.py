"""Z-score whole sites and series, and save the statistics of a run (paper, S1)."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32

from aef_jax.data.store.site import Series, Site
from aef_jax.files.atomic import replace_file
from configs.fields.statistics import BandStatistics, scale_pixels
from configs.serialization.printable import sentence
from configs.serialization.strict_json import read_json
from configs.source import Source


@dataclass(frozen=True)
class Normalization(BandStatistics):
    """The statistics of a training set, applied to its sites."""

    def apply(self, site: Site, sources: tuple[Source, ...]) -> Site:
        """Scale and z-score a site.

        Args:
            site: as stored.
            sources: the sources to keep.

        Returns:
            The site with z-scored series of those of `sources` that it has.
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
            Frames in float32. A pixel that holds no number becomes 0, the mean, and is not valid. A class index stays
            as it is, and is valid if the source has such a class.

        Raises:
            ValueError: there are no statistics of the source, or they are of other bands.
        """
        if source.kind == "classes":
            valid = series.valid & series.has_data & (series.pixels >= 0) & (series.pixels < source.classes)
            return replace(series, pixels=np.where(valid, series.pixels, 0), valid=valid, no_data=None)
        z, observed = self.z_score_pixels(series.pixels, source, series.no_data)
        return replace(series, pixels=z, valid=series.valid & observed, no_data=None)

    def save(self, path: Path) -> None:
        """Write the statistics as JSON.

        Args:
            path: the file, replaced as a whole.
        """
        with replace_file(path) as temporary:
            temporary.write_text(json.dumps(self.as_table(), indent=2))

    @classmethod
    def load(cls, path: Path) -> "Normalization":
        """Read what `save` wrote.

        Args:
            path: the file.

        Returns:
            The statistics.

        Raises:
            ValueError: the file is no such file; the message has its path.
        """
        try:
            return cls.from_table(read_json(path))
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{path}: not the normalization of a run ({sentence(error)})") from None


def scale_series(series: Series, source: Source) -> tuple[Float32[np.ndarray, "N H W C"], Bool[np.ndarray, "N H W C"]]:
    """Scale a series.

    Args:
        series: as stored.
        source: its row of the table of sources.

    Returns:
        Scaled pixels, NaN if they hold no data; and True for valid pixels within the band's range.

    Raises:
        ValueError: the series has another number of bands than the source.
    """
    values, observed = scale_pixels(series.pixels, source, series.no_data)
    return values, series.valid & observed
