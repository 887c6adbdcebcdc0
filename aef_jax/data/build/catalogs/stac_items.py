"""Make acquisitions of STAC items: their bands, times, order of processing and metadata."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from math import atan2, cos, degrees, radians, sqrt
from typing import Any

import numpy as np
import rasterio
from jaxtyping import Float32
from rasterio.transform import Affine

from aef_jax.data.build.catalogs.acquisition import Acquisition
from aef_jax.data.build.config import FilesConfig
from aef_jax.data.build.readers.geotiff import name_bands, open_tiff
from aef_jax.data.build.readers.grid import Raster
from aef_jax.data.build.readers.remote import is_remote, without_query
from aef_jax.data.build.readers.times import sentinel2_baseline
from configs.serialization.printable import printable
from configs.sources import SENTINEL1

_RASTER_TYPES = ("image/tiff", "image/vnd.stac.geotiff", "image/jp2")
_OTHER_ROLES = {"thumbnail", "overview", "visual", "metadata"}
"""Roles of assets that show a product and are none of its measurements."""
_RESOLUTIONS = ("_10m", "_20m", "_60m")
"""Ends of asset keys, from fine to coarse: of B02_10m and B02_20m the first is read."""
_PROCESSED = ("processing:datetime", "s2:generation_time", "updated", "created")
"""Properties that say when an item was processed or else changed; the first that is there counts."""
SENTINEL1_INCLINATION = 98.18
"""Degrees, of Sentinel-1's orbit (ESA)."""
_EARTH_TURNS_PER_ORBIT = 12 / 175
"""Sentinel-1 has 175 orbits in 12 days."""


@dataclass(frozen=True)
class _AssetBand:
    """A band of an asset, whose file is opened when it is needed: most assets of an item never are."""

    href: str
    name: str
    names: tuple[str, ...]
    """Of all bands of the asset, as the catalog says."""
    crs_given: str
    cache: str
    value: float | None = None
    """What it reads in place of the file's numbers, where the file has data."""

    @property
    def where(self) -> str:
        """File and band, for messages."""
        return f"{printable(without_query(self.href))}, band {printable(self.name)}"

    @property
    def crs(self) -> rasterio.CRS:
        """Coordinate reference system of the file."""
        return self._band.crs

    @property
    def transform(self) -> Affine:
        """Of the file."""
        return self._band.transform

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the file."""
        return self._band.shape

    def read(self, rows: slice, columns: slice) -> Float32[np.ndarray, "h w"]:
        """Read a window. See `Raster`."""
        values = self._band.read(rows, columns)
        return values if self.value is None else np.where(np.isnan(values), values, np.float32(self.value))

    @property
    def _band(self) -> Raster:
        bands = _open_bands(self.href, self.names, self.crs_given, self.cache)
        return next(iter(bands.values())) if self.value is not None else bands[self.name]


@lru_cache(maxsize=256)
def _open_bands(href: str, names: tuple[str, ...], crs: str, cache: str) -> Mapping[str, Raster]:
    """Open an asset. Where its file names the catalog's bands in another order, the file knows."""
    file = open_tiff(href, crs, cache)
    return name_bands(file, () if sorted(file.names) == sorted(names) else names)


def acquisition_of_item(item: Any, files: FilesConfig) -> Acquisition:
    """Make an acquisition of an item. No file is opened yet.

    Args:
        item: a pystac.Item, signed.
        files: the entry of the config.

    Returns:
        The acquisition. Its rasters have the keys of assets of one band, without their resolution, or the names of the
        bands of the others; and `angle` if a Sentinel-1 item tells it. Its product is ordered by baseline, and by when
        the item was processed or else changed.

    Raises:
        ValueError: the item has no time, or an asset no path and no URL.
    """
    properties, rasters = item.properties, dict[str, _AssetBand]()
    for asset, names in _assets(item):
        for name in names:
            rasters.setdefault(name, _AssetBand(_location(asset), name, tuple(names), files.crs, files.cache))
    angle = properties.get("view:incidence_angle")
    if files.name == SENTINEL1.name and rasters and isinstance(angle, int | float):
        first = next(iter(rasters.values()))
        rasters.setdefault("angle", replace(first, name="angle", value=float(angle)))
    time_ms, baseline = _time(item) if files.source.timed else 0, _baseline(item)
    processed = next((str(properties[name]) for name in _PROCESSED if properties.get(name)), "")
    product = f"{baseline or 0:05.2f} {processed}"
    return Acquisition(time_ms, product, rasters, metadata=_metadata(item, files), baseline=baseline)


def orbit_heading(orbit_state: str, latitude: float) -> float:
    """Compute the direction in which Sentinel-1 flies over a place.

    Args:
        orbit_state: ascending or descending.
        latitude: degrees north; beyond the orbit's turning points, theirs.

    Returns:
        Degrees from north, clockwise, -180 to 180, relative to the turning Earth.
    """
    inclination, phi = radians(SENTINEL1_INCLINATION), radians(latitude)
    east = cos(inclination) - _EARTH_TURNS_PER_ORBIT * cos(phi) ** 2
    north = sqrt(max(cos(phi) ** 2 - cos(inclination) ** 2, 0.0))
    return degrees(atan2(east, north if orbit_state == "ascending" else -north))


def _assets(item: Any) -> Iterator[tuple[Any, list[str]]]:
    """Yield the assets that are rasters of measurements, the finest of each band, and the names of their bands."""
    finest: dict[str, tuple[int, str]] = {}
    for key, asset in item.assets.items():
        is_raster = (asset.media_type or "").lower().startswith(_RASTER_TYPES) or not asset.media_type
        if not is_raster or _OTHER_ROLES & set(asset.roles or ()):
            continue
        rank = next((rank for rank, end in enumerate(_RESOLUTIONS) if key.endswith(end)), -1)
        name = key.removesuffix(_RESOLUTIONS[rank]) if rank >= 0 else key
        if name not in finest or rank < finest[name][0]:
            finest[name] = rank, key
    for name, (_, key) in finest.items():
        asset = item.assets[key]
        described = asset.extra_fields.get("bands") or asset.extra_fields.get("eo:bands") or []
        names = [str(band.get("name", "")) for band in described if isinstance(band, Mapping)]
        yield asset, names if len(names) > 1 and all(names) else [name]


def _location(asset: Any) -> str:
    href = asset.get_absolute_href() or asset.href
    if is_remote(href) or not href.startswith("/vsi"):
        return href
    raise ValueError(f"{printable(href)} is no path and no URL")  # GDAL's own file systems reach other files


def _time(item: Any) -> int:
    start = item.datetime or item.common_metadata.start_datetime
    if start is None:
        raise ValueError(f"{printable(item.id)} has no datetime")
    return round(start.timestamp() * 1000)


def _baseline(item: Any) -> float | None:
    properties = item.properties
    if properties.get("earthsearch:boa_offset_applied"):
        return 0.0
    for name in ("s2:processing_baseline", "processing:version"):
        try:
            return float(properties[name])
        except (KeyError, TypeError, ValueError):
            continue
    return sentinel2_baseline(str(properties.get("s2:product_uri", item.id)))


def _metadata(item: Any, files: FilesConfig) -> dict[str, float]:
    state = item.properties.get("sat:orbit_state")
    if files.name != SENTINEL1.name or state not in ("ascending", "descending") or not item.bbox:
        return {}
    latitude = (item.bbox[1] + item.bbox[len(item.bbox) // 2 + 1]) / 2
    return {"platform_heading": orbit_heading(state, latitude), "orbit_inclination": SENTINEL1_INCLINATION}
