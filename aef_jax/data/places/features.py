"""Read features, which are points or polygons with columns, from CSV, GeoJSON, Parquet and GeoParquet."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from aef_jax.data.places.csv_rows import read_rows
from aef_jax.data.places.geometry import Row, parse_geometry, to_degrees_from
from aef_jax.data.places.parquet import read_parquet
from aef_jax.data.store.site import Period, to_ms
from configs.serialization.printable import printable_value
from configs.serialization.strict_json import read_json
from configs.validate import require


class Feature(NamedTuple):
    """A point or polygons, and values by column, as in GeoJSON."""

    place: str
    """Where it is in the file, for messages: `row 3` or `feature 3`."""
    geometry: dict[str, Any]
    """A valid GeoJSON geometry in degrees, WGS 84; see `parse_geometry`."""
    properties: dict[str, Any]
    """Values by the names of the columns that were asked for; None if there is no such column."""


def read_features(
    path: Path, kinds: Sequence[str], required: Sequence[str] = (), optional: Sequence[str] = ()
) -> Iterator[Feature]:
    """Read the features of a file one by one.

    Args:
        path: by its suffix .csv in UTF-8, with the columns lon and lat; .json or .geojson with a FeatureCollection;
            .parquet or .geoparquet, with the columns lon and lat, or with a geometry column (GeoParquet).
        kinds: the GeoJSON types of geometry that are read: Point, Polygon, MultiPolygon.
        required: columns or properties that must be there.
        optional: further ones to read.

    Yields:
        The features. Values of a CSV are text without spaces around it; of Parquet, numbers, text and booleans. The
        rows of a CSV are counted as in a spreadsheet: the header is row 1. Otherwise the first one is 1.

    Raises:
        ModuleNotFoundError: the file is Parquet, and pyarrow is not installed.
        ValueError: the first mistake, with file and place.
    """
    match path.suffix.lower():
        case ".csv":
            rows = _read_csv(path, ("lon", "lat", *required))
        case ".json" | ".geojson":
            rows = _read_geojson(path, required)
        case ".parquet" | ".geoparquet":
            rows = read_parquet(path, required, optional)
        case _:
            raise ValueError(f"{path}: its name has another suffix than .csv, .json, .geojson, .parquet or .geoparquet")
    names = (*required, *optional)
    for row in rows:
        try:
            geometry = parse_geometry(row, kinds)
        except ValueError as error:
            raise ValueError(f"{path}, {row.place}: {error}") from None
        yield Feature(row.place, geometry, {name: row.properties.get(name) for name in names})


def parse_period(start: Any, end: Any) -> Period:
    """Convert the start and end of a feature.

    Args:
        start: a date in ISO 8601.
        end: a later one.

    Returns:
        Epoch milliseconds; the end is not included.

    Raises:
        ValueError: they are no such dates.
    """
    if not (isinstance(start, str) and isinstance(end, str)):
        raise ValueError(f"its dates are {printable_value([start, end])}, expected ISO 8601")
    return _parse_dates(start, end)


@lru_cache  # many features share their dates
def _parse_dates(start: str, end: str) -> Period:
    period = to_ms(start), to_ms(end)
    require(period[0] < period[1], f"its end ({end}) is not after its start ({start})")
    return period


def _read_csv(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    for place, properties in read_rows(path, columns):
        point = {"type": "Point", "coordinates": (properties["lon"], properties["lat"])}
        yield Row(place, point, properties)


def _read_geojson(path: Path, required: Sequence[str]) -> Iterator[Row]:
    tree = read_json(path)
    features = tree.get("features") if isinstance(tree, dict) else None
    if not isinstance(features, list):
        raise ValueError(f"{path}: it has no list of features, expected a GeoJSON FeatureCollection")
    match tree.get("crs"):  # of GeoJSON from 2008, which GDAL still writes for data in another crs
        case None:
            to_degrees = None
        case {"properties": {"name": str(name)}}:
            to_degrees = to_degrees_from(name, str(path))
        case crs:
            raise ValueError(f"{path}: its crs is {printable_value(crs)}, expected none or one by its name")
    for number, feature in enumerate(features, start=1):
        place, feature = f"feature {number}", feature if isinstance(feature, dict) else {}
        properties = feature.get("properties") or {}
        require(isinstance(properties, dict), f"{path}, {place}: its properties are no JSON object")
        missing = [name for name in required if name not in properties]
        if missing:
            raise ValueError(f"{path}, {place}: it has no property {missing[0]!r}, expected {', '.join(required)}")
        yield Row(place, feature.get("geometry"), properties, to_degrees)
