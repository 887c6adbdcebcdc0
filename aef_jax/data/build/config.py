"""The config of `aef data build`: which ground, which files, and what their numbers mean."""

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

from aef_jax.data.store.site import Period, to_ms
from aef_jax.data.store.summary import join_levels
from configs.serialization.config_json import nearest, typed
from configs.serialization.printable import require_printable, sentence
from configs.serialization.read_file import read_text
from configs.source import Source
from configs.sources import SOURCES
from configs.validate import require, require_at_least, require_multiple

EXAMPLE = Path(__file__).parent / "example.toml"
"""A config with comments, which `aef data build --example` prints."""
BY_NAME: Mapping[str, Source] = {source.name: source for source in SOURCES if source.kind != "text"}
"""The sources that files can be of."""
FEATURE_SUFFIXES = (".csv", ".json", ".geojson", ".parquet", ".geoparquet")
"""Of files of points and polygons."""
OPERATORS = {"lt", "lte", "gt", "gte", "eq"}
"""Comparisons of a query, as STAC's query extension names them."""


@dataclass(frozen=True)
class SitesConfig:
    """Which ground becomes records. One of `points`, `polygons` and `extent_of` is given."""

    side: int = 128
    """Pixels of 10 m along each side of a site."""
    points: str = ""
    """CSV, GeoJSON, Parquet or GeoParquet of the sites' centers: lon, lat, and if wanted name, split, start, end,
    weight."""
    polygons: str = ""
    """GeoJSON or GeoParquet of polygons to cover with sites."""
    extent_of: str = ""
    """Name of a source: the extent of its first file is covered."""
    validation: float = 0.1
    """Share of the sites for validation; sites whose table has a split keep it."""
    min_distance_m: float = 1280.0
    """Training sites nearer than this to a validation site are left out (paper, S1: 1.28 km)."""
    seed: int = 0
    """Another seed draws other validation sites."""

    def __post_init__(self):
        require_multiple("sites", "side", self.side, of=16)
        require(0 <= self.validation < 1, f"sites: validation is {self.validation}, expected at least 0, below 1")
        require_at_least("sites", "min_distance_m", self.min_distance_m, 0)
        given = [name for name in ("points", "polygons", "extent_of") if getattr(self, name)]
        require(len(given) == 1, f"sites: {given or 'nothing'} is given, expected one of points, polygons, extent_of")


@dataclass(frozen=True)
class FilesConfig:
    """Files of one source. A source may have several entries, and a frame may be spread over files."""

    name: str
    """Name of a source in configs/sources.py."""
    unit: str
    """Unit of the files' values, after the files' own scale and offset."""
    files: tuple[str, ...] = ()
    """Paths from the config's folder, or URLs, with `*`, `?` and `**`: GeoTIFF, COG or JPEG 2000; NetCDF; folders
    *.zarr; chips as .npz or as .npy in .tar."""
    stac: str = ""
    """In place of files: path or URL of a STAC catalog, static or with an API."""
    collection: str = ""
    """Collection of the catalog; empty for all."""
    query: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Conditions on properties of items, such as { "eo:cloud_cover" = { lt = 60 } }."""
    sign: str = ""
    """A function that signs items, package:function, such as planetary_computer:sign."""
    level: str = ""
    """Processing level, such as L1C, L2A, TOA or SR; empty if it is not known."""
    units: Mapping[str, str] = field(default_factory=dict)
    """Unit by band of the source, where it is another one."""
    scale: tuple[float, float] = (1.0, 0.0)
    """Factor and offset that give `unit` from the numbers in the files, if the files do not hold them."""
    bands: Mapping[str, str] = field(default_factory=dict)
    """Name in the files by band of the source, where it is no known alias."""
    order: tuple[str, ...] = ()
    """Names of the files' bands by position, if the files hold none."""
    monthly: bool = False
    """Make a frame of each month of daily or hourly values: their sum, mean, min or max, as the band's name ends."""
    no_data: tuple[float, ...] = ()
    """Values that mean no data, beside NaN and the files' own."""
    time: str = ""
    """Regular expression whose group 1 is the time in a file's path; empty for SAFE, Landsat and plain date stamps."""
    time_tag: str = ""
    """Tag of a GeoTIFF that holds its time, such as TIFFTAG_DATETIME."""
    time_unit: str = ""
    """Unit of times that are numbers without one: s, ms or days since 1970."""
    table: str = ""
    """CSV with a row for each file: `file`, and `time`; and for chips their place."""
    mask: str = ""
    """Name in the files of what masks clouds, such as SCL; empty for none."""
    mask_kind: str = ""
    """How to read it, if its name does not say so."""
    dilation: int = 0
    """Pixels of 10 m by which clouds and shadows grow."""
    crs: str = ""
    """Coordinate reference system of files that name none."""
    pixel: float = 0.0
    """Side of the pixels of cubes with one row or one column, in the unit of their crs."""
    cache: str = ""
    """Folder that keeps what is read of remote files; empty for none."""
    metadata: Mapping[str, float] = field(default_factory=dict)
    """Metadata of every frame, such as platform_heading in degrees; what is not given is unknown."""

    def __post_init__(self):
        require_printable("source", self.name)
        require(self.name in BY_NAME, f"source: there is no {self.name!r}; {nearest(self.name, list(BY_NAME))}")
        where = f"source {self.name}"
        require(bool(self.files) != bool(self.stac), f"{where}: expected files or stac, and not both")
        unused = [name for name in ("collection", "query", "sign") if getattr(self, name) and not self.stac]
        require(not unused, f"{where}: {unused} are given without stac")
        operators = {operator for conditions in self.query.values() for operator in conditions}
        require(operators <= OPERATORS, f"{where}: query has {sorted(operators)}, expected some of {sorted(OPERATORS)}")
        if self.level:
            require_printable(f"{where}: its level", self.level)
        bands, fields = ([each.name for each in rows] for rows in (self.source.bands, self.source.metadata))
        for what, names, valid in (
            ("units", self.units, bands),
            ("bands", self.bands, bands),
            ("metadata", self.metadata, fields),
        ):
            for name in names:
                require(name in valid, f"{where}: {what} names {name!r}, no part of it; {nearest(name, valid)}")
        require_at_least(where, "dilation", self.dilation, 0)
        require_at_least(where, "pixel", self.pixel, 0)
        is_monthly = all(band.name.endswith(("_sum", "_mean", "_min", "_max")) for band in self.source.bands)
        require(is_monthly or not self.monthly, f"{where}: monthly is given, and its bands are no sums or means")
        require(self.scale[0] != 0, f"{where}: scale has the factor 0")

    @property
    def source(self) -> Source:
        """The row of the table."""
        return BY_NAME[self.name]


@dataclass(frozen=True)
class LabelsConfig:
    """A map of classes to evaluate embeddings with."""

    files: tuple[str, ...]
    """Paths as those of a source; or one file of points or polygons: CSV, GeoJSON, Parquet or GeoParquet."""
    column: str = ""
    """Column or property of points or polygons that is the class."""
    name: str = "labels"
    """Name of the map in the records, unique in the config."""
    band: str = ""
    """Name of the map in the files; empty if they hold one."""
    ignore: tuple[int, ...] = ()
    """Classes that mean no label."""
    crs: str = ""
    """As that of a source."""
    cache: str = ""
    """As that of a source."""

    def __post_init__(self):
        is_table = any(Path(path).suffix.lower() in FEATURE_SUFFIXES for path in self.files)
        require(
            is_table == bool(self.column) and (not is_table or len(self.files) == 1),
            f"labels {self.name}: files are {list(self.files)} and column is {self.column!r}, expected rasters without"
            " a column, or one file of points or polygons with the column of classes",
        )


@dataclass(frozen=True)
class BuildConfig:
    """A data set to build from files."""

    support: tuple[str, str]
    """Start and end of the period of the frames, in ISO 8601; the end is not included."""
    source: tuple[FilesConfig, ...]
    sites: SitesConfig | None = None
    """Needed to build a data set; `aef embed` reads any ground."""
    labels: tuple[LabelsConfig, ...] = ()
    mixed_levels: bool = False
    """Whether frames of one source may be of several processing levels."""

    def __post_init__(self):
        require(bool(self.source), "source: there is none, expected at least one [[source]]")
        maps = [require_printable("labels: a map", labels.name) for labels in self.labels]
        require(len(set(maps)) == len(maps), f"labels: the maps are called {maps}, expected a name of its own for each")
        start, end = self.period
        require(start < end, f"support: it ends at {self.support[1]}, before it starts at {self.support[0]}")
        names = [files.name for files in self.source]
        for name in names:
            if len({files.monthly for files in self.source if files.name == name}) > 1:
                raise ValueError(f"source {name}: one entry is monthly and another is not")
        for name in () if self.mixed_levels else names:
            levels = sorted({files.level for files in self.source if files.name == name})
            require(
                len(levels) == 1,
                f"source {name}: its entries have the levels {levels}, expected one, or mixed_levels = true",
            )
        if self.sites and self.sites.extent_of and self.sites.extent_of not in names:
            hint = nearest(self.sites.extent_of, names)
            raise ValueError(f"sites: extent_of is {self.sites.extent_of!r}, no source of this config; {hint}")

    @property
    def period(self) -> Period:
        """The support period, in epoch milliseconds."""
        return to_ms(self.support[0]), to_ms(self.support[1])

    @property
    def levels(self) -> dict[str, str]:
        """Processing level by source."""
        names = {files.name for files in self.source}
        return {name: join_levels(files.level for files in self.source if files.name == name) for name in names}

    @property
    def sources(self) -> tuple[Source, ...]:
        """The rows of the sources, each once, in the table's order."""
        named = {files.name for files in self.source}
        return tuple(source for name, source in BY_NAME.items() if name in named)


def read_build_config(path: Path) -> BuildConfig:
    """Read a config.

    Args:
        path: a TOML file.

    Returns:
        The validated config.

    Raises:
        ValueError: the file cannot be read, is no TOML, or a field is unknown, missing or out of range; the message
            names the file and the field.
    """
    try:
        tree = tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is no TOML: {sentence(error)}") from error
    try:
        return typed(_with_defaults(tree, BuildConfig), BuildConfig, "the config")
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _with_defaults(tree: Any, kind: Any) -> Any:
    """Fill in the fields that a table leaves out and that have a default."""
    if isinstance(tree, list):
        return [_with_defaults(item, kind) for item in tree]
    if not isinstance(tree, dict) or not is_dataclass(kind):
        return tree
    hints, filled = get_type_hints(kind), dict(tree)
    for each in fields(kind):
        inner = next((a for a in (hints[each.name], *get_args(hints[each.name])) if is_dataclass(a)), None)
        if each.name in filled and inner is not None:
            filled[each.name] = _with_defaults(filled[each.name], inner)
        elif each.name not in filled and each.default is not MISSING:
            filled[each.name] = each.default
        elif each.name not in filled and each.default_factory is not MISSING:
            filled[each.name] = each.default_factory()
    return filled
