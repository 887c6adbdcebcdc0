"""Build one site from the files of a config."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import rasterio
from tqdm import tqdm

from aef_jax.data.build.catalogs.acquisition import Acquisition, Catalog
from aef_jax.data.build.catalogs.file_catalog import FileCatalog
from aef_jax.data.build.catalogs.find_files import find_files, list_acquisitions
from aef_jax.data.build.catalogs.stac import StacCatalog
from aef_jax.data.build.config import BuildConfig, FilesConfig, LabelsConfig
from aef_jax.data.build.entry import Entry
from aef_jax.data.build.frames.frames import BuildReport, Reject, read_series
from aef_jax.data.build.labels.label_features import read_label_features
from aef_jax.data.build.labels.label_maps import LabelMap
from aef_jax.data.build.readers.remote import GDAL_OPTIONS, is_remote, without_query
from aef_jax.data.build.sites.site_plan import (
    Bounds,
    PlannedSplit,
    SitePlan,
    sites_of_extents,
    sites_of_points,
    sites_of_polygons,
)
from aef_jax.data.build.sites.split import split_sites
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
        self.entries = [Entry(files, self._open_catalog(files)) for files in map(self._resolved, config.source)]
        self.labels = {labels.name: self._open_labels(labels) for labels in config.labels}

    def plan(self, known: Mapping[str, PlannedSplit] = MappingProxyType({})) -> tuple[list[SitePlan], int]:
        """Choose the sites, and split them.

        Args:
            known: the split of sites that are in a data set already, by name. They keep it, and others their distance.

        Returns:
            The sites, and how many were left out because they are too near to a validation site.

        Raises:
            ValueError: the config says nothing of sites, a table of them is wrong, or there is no site.
        """
        sites = self.config.sites
        if sites is None:
            raise ValueError("the config has no [sites], expected the ground of the records")
        if sites.points:
            plans = sites_of_points(self.folder / sites.points, sites.side)
        elif sites.polygons:
            plans = sites_of_polygons(self.folder / sites.polygons, sites.side)
        else:
            plans = sites_of_extents(self._extents(sites.extent_of), sites.side)
        if not plans:
            raise ValueError("the config gives no site, expected at least one")
        plans = [plan._replace(split=known.get(plan.name, plan.split)) for plan in plans]
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
        report = BuildReport()
        with rasterio.Env(**GDAL_OPTIONS):
            return self._build(plan, report), report

    def _build(self, plan: SitePlan, report: BuildReport) -> Site | None:
        grid, period, series = plan.grid, plan.support or self.config.period, {}
        for source in self.config.sources:
            try:
                of_source = read_series(source, self.entries_of(source.name), grid, period, report)
            except ValueError as error:
                report.rejects.append(Reject(f"site {plan.name}", sentence(error)))
                return None
            if of_source is not None:
                series[source.name] = of_source
        if not any(source.is_input and source.name in series for source in self.config.sources):
            report.rejects.append(Reject(f"site {plan.name}", "no file of an input source shows it in the period"))
            return None
        labels = {name: labels.read(grid, period) for name, labels in self.labels.items()}
        return Site(plan.name, series, plan.crs, plan.transform, period, labels=labels, weight=plan.weight)

    def entries_of(self, name: str) -> list[Entry]:
        """Return the entries of a source.

        Args:
            name: of the source.

        Returns:
            Those of the config, opened; none if it has no such source.
        """
        return [entry for entry in self.entries if entry.files.name == name]

    def _resolved(self, files: FilesConfig) -> FilesConfig:
        """Make the paths of an entry begin from the config's folder."""
        named = {name: getattr(files, name) for name in ("stac", "table", "cache")}
        return replace(
            files, **{n: str(self.folder / path) for n, path in named.items() if path and not is_remote(path)}
        )

    def _open_catalog(self, files: FilesConfig) -> Catalog:
        return StacCatalog(files) if files.stac else FileCatalog(self._index(files))

    def _index(self, files: FilesConfig | LabelsConfig) -> list[Acquisition]:
        """List all acquisitions; a file that cannot be read is rejected, unless none can."""
        acquisitions: list[Acquisition] = []
        before = len(self.unreadable)
        paths = find_files(self.folder, files.files)
        for path in tqdm(paths, getattr(files, "name", "labels"), unit="file", leave=False, disable=len(paths) < 100):
            try:
                acquisitions += list_acquisitions(path, files)
            except ValueError as error:
                self.unreadable.append(Reject(without_query(path), sentence(error)))
        if not any(acquisition.rasters for acquisition in acquisitions):
            reasons = self.unreadable[before:]
            raise ValueError(reasons[0].reason if reasons else f"{paths[0]} holds no variable along y and x")
        return acquisitions

    def _extents(self, name: str) -> Iterator[tuple[str, Bounds]]:
        """Yield the crs and the bounds of each grid that the files of a source have."""
        for catalog in (entry.catalog for entry in self.entries_of(name)):
            if not isinstance(catalog, FileCatalog):
                raise ValueError(f"sites: extent_of is {name!r}, which is in a STAC catalog: give points or polygons")
            yield from catalog.extents()

    def _open_labels(self, labels: LabelsConfig) -> LabelMap:
        if labels.column:
            return LabelMap(labels, read_label_features(self.folder / labels.files[0], labels.column))
        return LabelMap(labels, FileCatalog(self._index(labels)))
