"""Read one map of classes on a site's grid, from rasters or from points and polygons."""

import numpy as np
from jaxtyping import Int32

from aef_jax.data.build.catalogs.file_catalog import FileCatalog
from aef_jax.data.build.config import LabelsConfig
from aef_jax.data.build.labels.label_features import LabelFeatures, burn_labels
from aef_jax.data.build.readers.grid import Grid, read_on_grid
from aef_jax.data.store.site import Period


class LabelMap:
    """One map of the config and its files.

    Args:
        config: the map.
        source: rasters, or features.

    Raises:
        ValueError: the rasters hold several bands and the config names none of them.
    """

    def __init__(self, config: LabelsConfig, source: FileCatalog | LabelFeatures):
        self.config, self.source = config, source
        for acquisition in source.acquisitions if isinstance(source, FileCatalog) else ():
            names = list(acquisition.rasters)
            if config.band not in names and (config.band or len(names) != 1):
                raise ValueError(f"labels {config.name}: the files hold {names}: give one of them as band")

    def read(self, grid: Grid, period: Period) -> Int32[np.ndarray, "H W"]:
        """Read the map at a site.

        Args:
            grid: of the site.
            period: its support period, in epoch milliseconds.

        Returns:
            Classes of up to 16 bits; -1 is no label. Of several rasters the first that has a class counts.
        """
        if isinstance(self.source, FileCatalog):
            classes = np.full((grid.side, grid.side), np.nan, np.float32)
            for acquisition in self.source.find(grid, period):
                raster = acquisition.rasters[self.config.band or next(iter(acquisition.rasters))]
                values = read_on_grid(raster, grid, is_category=True)
                if values is not None:
                    classes = np.where(np.isnan(classes), values, classes)
            classes = np.where(np.isnan(classes), -1, classes).astype(np.int32)
        else:
            classes = burn_labels(self.source, grid)
        return np.where(np.isin(classes, self.config.ignore), -1, classes)
