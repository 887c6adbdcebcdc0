"""What readers return: acquisitions, each a time and the rasters that were taken then."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from aef_jax.data.build.readers.grid import Grid, Raster
from aef_jax.data.store.site import Period


@dataclass(frozen=True)
class Acquisition:
    """Rasters of one time in one product. Several products may be of one pass: other bands, or ground beside it."""

    time_ms: int
    """Epoch milliseconds; 0 if the raster is a map without a time."""
    product: str
    """What orders products of one time: the last shows through, the others fill what it lacks."""
    rasters: Mapping[str, Raster]
    """By their names in the file."""
    pixel: float = 0.0
    """Side of its pixels in the unit of its crs, which orders products of one time and product: the finest first."""
    metadata: Mapping[str, float] = field(default_factory=dict)
    """Metadata of the source that the product states; those of the config count first."""
    baseline: float | None = None
    """Processing baseline of a Sentinel-2 product whose digital numbers are as delivered; 0 if the offset of 04.00 was
    taken off; None if the product does not say."""
    mtl: Mapping[str, float] = field(default_factory=dict)
    """Numbers of a Landsat product's MTL file."""


class Catalog(Protocol):
    """The acquisitions of one entry of the config. Its `files` and its `stac` are such.

    To read what is neither, write such a class, and return it from `SiteBuilder`. To read another
    format of files, write a function that lists the acquisitions of a file, and add it to `READERS` in find_files.py.
    """

    @property
    def names(self) -> Sequence[str]:
        """Names of the rasters, each once."""
        ...

    def find(self, grid: Grid, period: Period) -> list[Acquisition]:
        """List the acquisitions that may show a site. It reads no pixels.

        Args:
            grid: of the site.
            period: support period, in epoch milliseconds.

        Returns:
            All acquisitions of that ground and period. Others may be among them.

        Raises:
            ValueError: the catalog cannot be read.
        """
        ...
