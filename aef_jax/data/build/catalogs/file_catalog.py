"""The acquisitions of files that are listed once, and found by ground."""

from collections.abc import Iterator, Sequence

import numpy as np

from aef_jax.data.build.catalogs.acquisition import Acquisition
from aef_jax.data.build.readers.grid import Grid
from aef_jax.data.build.sites.footprint import are_near, cap_of
from aef_jax.data.store.site import Period


class FileCatalog:
    """Find acquisitions in a list. It is a `Catalog`.

    Args:
        acquisitions: in all files of an entry; those without a raster are left out.
    """

    def __init__(self, acquisitions: Sequence[Acquisition]):
        self.acquisitions = [each for each in acquisitions if each.rasters]
        self.names = sorted({name for each in self.acquisitions for name in each.rasters})
        grids = [next(iter(each.rasters.values())) for each in self.acquisitions]
        self._caps = np.array([cap_of(each.crs, tuple(each.transform)[:6], each.shape) for each in grids]).reshape(
            -1, 4
        )

    def find(self, grid: Grid, period: Period) -> list[Acquisition]:
        """List the acquisitions that may show a site, of any time.

        Args:
            grid: of the site.
            period: support period, in epoch milliseconds.

        Returns:
            The acquisitions.
        """
        return [self.acquisitions[index] for index in np.flatnonzero(are_near(self._caps, grid.cap))]

    def extents(self) -> Iterator[tuple[str, tuple[float, float, float, float]]]:
        """List the ground of the files.

        Yields:
            The crs, and west, south, east and north in it, of each grid once.
        """
        seen = set()
        for raster in (next(iter(each.rasters.values())) for each in self.acquisitions):
            (height, width), transform = raster.shape, raster.transform
            grid = raster.crs.to_wkt(), transform, (height, width)
            if grid not in seen:
                seen.add(grid)
                code = raster.crs.to_epsg(confidence_threshold=50)
                south, east = transform.f + height * transform.e, transform.c + width * transform.a
                yield f"EPSG:{code}" if code else grid[0], (transform.c, south, east, transform.f)
