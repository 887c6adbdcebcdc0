"""An array with a place on the ground, as a `Raster`."""

from dataclasses import dataclass

import numpy as np
import rasterio

UTM = rasterio.CRS.from_epsg(32631)


@dataclass(frozen=True)
class Array:
    """It says what it holds by itself: no file is written."""

    values: np.ndarray
    transform: rasterio.Affine
    crs: rasterio.CRS = UTM
    where: str = "an array"

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self.values.shape
        return rows, columns

    def read(self, rows: slice, columns: slice) -> np.ndarray:
        """Read a window."""
        return self.values[rows, columns].astype(np.float32)
