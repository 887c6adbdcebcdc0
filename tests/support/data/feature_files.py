"""Write the same points and polygons as GeoJSON, Parquet and GeoParquet."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
from pyarrow.parquet import write_table


def write_geojson(path: Path, *features: tuple[dict, dict], crs: str = "") -> Path:
    """Write geometries with their properties; `crs` as GDAL does."""
    tree = {"type": "FeatureCollection", "features": [{"geometry": g, "properties": p} for g, p in features]}
    path.write_text(json.dumps(tree | ({"crs": {"type": "name", "properties": {"name": crs}}} if crs else {})))
    return path


def write_parquet(path: Path, columns: dict[str, Any]) -> Path:
    """Write plain columns."""
    write_table(pyarrow.table(columns), path)
    return path


def write_geoparquet(
    path: Path, geometries: list[bytes | None], columns: dict[str, Any] | None = None, **entries
) -> Path:
    """Write geometries in WKB; `entries` go to the metadata of their column."""
    geo = {"version": "1.1.0", "primary_column": "shape", "columns": {"shape": {"encoding": "WKB", **entries}}}
    table = pyarrow.table({**(columns or {}), "shape": pyarrow.array(geometries, pyarrow.binary())})
    write_table(table.replace_schema_metadata({"geo": json.dumps(geo)}), path)
    return path


def wkb(geometry: dict) -> bytes:
    """Encode GeoJSON as WKB."""
    match geometry["type"]:
        case "Point":
            return struct.pack("<BI2d", 1, 1, *geometry["coordinates"])
        case "Polygon":
            rings = [struct.pack("<I", len(ring)) + np.array(ring, "<f8").tobytes() for ring in geometry["coordinates"]]
            return struct.pack("<BII", 1, 3, len(rings)) + b"".join(rings)
        case _:
            parts = [wkb({"type": "Polygon", "coordinates": polygon}) for polygon in geometry["coordinates"]]
            return struct.pack("<BII", 1, 6, len(parts)) + b"".join(parts)
