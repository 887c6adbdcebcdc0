"""Build one site from the files of a config."""

from pathlib import Path

import numpy as np
from jaxtyping import Int16
from tqdm import tqdm

from aef_jax.data.build.config import BuildConfig, FilesConfig, LabelsConfig
from aef_jax.data.build.frames import BuildReport, FileSet, Reject, group_passes, read_series
from aef_jax.data.build.readers.acquisition import Acquisition
from aef_jax.data.build.readers.find_files import find_files, list_acquisitions
from aef_jax.data.build.readers.grid import Grid, Raster, read_on_grid
from aef_jax.data.build.site_plan import SitePlan, sites_of_extent, sites_of_points, sites_of_polygons
from aef_jax.data.build.split import split_sites
from aef_jax.data.store.site import Site
from configs.serialization.printable import sentence


class SiteBuilder:
    """Index the files of a config, and build sites from them.

    Args:
        config: the config.
        folder: what its relative paths begin from.

    Raises:
        ValueError: a pattern matches no file, no file of a source can be read, or its bands are not in the files.
    """

    def __init__(self, config: BuildConfig, folder: Path):
        self.config, self.folder = config, folder
        self.unreadable: list[Reject] = []
        self.file_sets = [FileSet(files, self._index(files)) for files in config.source]
        self.passes = {
            source.name: group_passes([each for each in self.file_sets if each.files.name == source.name])
            for source in config.sources
        }
        self.labels = self._label_raster(config.labels) if config.labels else []

    def plan(self) -> tuple[list[SitePlan], int]:
        """Choose the sites, and split them.

        Returns:
            The sites, and how many were left out because they are too near to a validation site.

        Raises:
            ValueError: a table of sites is wrong, or there is no site.
        """
        sites = self.config.sites
        if sites.points:
            plans = sites_of_points(self.folder / sites.points, sites.side)
        elif sites.polygons:
            plans = sites_of_polygons(self.folder / sites.polygons, sites.side)
        else:
            plans = sites_of_extent(*self._extent(sites.extent_of), sites.side)
        if not plans:
            raise ValueError("the config gives no site, expected at least one")
        split, dropped = split_sites(plans, sites.validation, sites.min_distance_m, sites.seed)
        if all(plan.split == "validation" for plan in split):
            raise ValueError(
                f"sites: no site is left for training: {len(dropped)} are within {sites.min_distance_m:g} m of the"
                f" {len(split)} for validation: give a smaller min_distance_m or validation, or more ground"
            )
        return split, len(dropped)

    def build(self, plan: SitePlan) -> tuple[Site | None, BuildReport]:
        """Read a site.

        Args:
            plan: the site.

        Returns:
            The site, or None if no input source has a frame of it; and what was not used.
        """
        report, grid = BuildReport(), plan.grid
        period = plan.support or self.config.period
        series = {}
        for source in self.config.sources:
            try:
                of_source = read_series(source, self.passes[source.name], grid, period, report)
            except ValueError as error:
                report.rejects.append(Reject(f"site {plan.name}", sentence(error)))
                return None, report
            if of_source is not None:
                series[source.name] = of_source
        if not any(source.is_input and source.name in series for source in self.config.sources):
            report.rejects.append(Reject(f"site {plan.name}", "no file of an input source shows it in the period"))
            return None, report
        labels = self._read_labels(grid) if self.labels else None
        return Site(plan.name, series, plan.crs, plan.transform, period, labels=labels), report

    def _index(self, files: FilesConfig | LabelsConfig) -> list[Acquisition]:
        """List all acquisitions; a file that cannot be read is rejected, unless none can."""
        acquisitions: list[Acquisition] = []
        before = len(self.unreadable)
        paths = find_files(self.folder, files.files)
        for path in tqdm(paths, getattr(files, "name", "labels"), unit="file", leave=False, disable=len(paths) < 100):
            try:
                acquisitions += list_acquisitions(path, files)
            except ValueError as error:
                self.unreadable.append(Reject(str(path), sentence(error)))
        if not any(acquisition.rasters for acquisition in acquisitions):
            reasons = self.unreadable[before:]
            raise ValueError(reasons[0].reason if reasons else f"{paths[0]} holds no variable along y and x")
        return acquisitions

    def _extent(self, name: str) -> tuple[str, tuple[float, float, float, float]]:
        """Return the extent of the first file of a source, and its crs."""
        file_set = next(each for each in self.file_sets if each.files.name == name)
        raster = next(iter(next(each for each in file_set.acquisitions if each.rasters).rasters.values()))
        (height, width), transform = raster.shape, raster.transform
        south, east = transform.f + height * transform.e, transform.c + width * transform.a
        code = raster.crs.to_epsg(confidence_threshold=50)
        return f"EPSG:{code}" if code else raster.crs.to_wkt(), (transform.c, south, east, transform.f)

    def _label_raster(self, labels: LabelsConfig) -> list[Raster]:
        rasters = []
        for acquisition in self._index(labels):
            names = [labels.band] if labels.band else list(acquisition.rasters)
            if len(names) != 1 or names[0] not in acquisition.rasters:
                raise ValueError(f"labels: the files hold {list(acquisition.rasters)}: give one of them as band")
            rasters.append(acquisition.rasters[names[0]])
        return rasters

    def _read_labels(self, grid: Grid) -> Int16[np.ndarray, "H W"]:
        """Read the map of classes; -1 is no label."""
        classes = np.full((grid.side, grid.side), np.nan, np.float32)
        for raster in self.labels:
            values = read_on_grid(raster, grid, is_category=True)
            if values is not None:
                classes = np.where(np.isnan(classes), values, classes)
        ignored = np.isnan(classes) | np.isin(classes, self.config.labels.ignore if self.config.labels else ())
        return np.where(ignored, -1, classes).astype(np.int16)
