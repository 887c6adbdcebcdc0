"""Read embedding fields from Zarr stores, as `aef_jax.inference.writers.zarr_store` writes them."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32

from aef_jax.data.store.site import Affine, Period
from aef_jax.inference.encoding import decode, iso
from aef_jax.inference.extras import needs_extra
from aef_jax.inference.field import FieldInfo
from aef_jax.inference.writers.zarr_store import ARRAY
from configs.serialization.printable import printable, sentence


class ZarrField(NamedTuple):
    """The field of one period of a store."""

    path: str
    info: FieldInfo
    array: Any
    """Of (time, band, y, x)."""
    time_index: int
    """Of the period."""

    def read(self, rows: slice, columns: slice) -> Float32[np.ndarray, "h w D"]:
        """Read a window; see `aef_jax.inference.field.Field.read`.

        Args:
            rows: rows of the field.
            columns: columns of the field.

        Returns:
            Unit vectors; NaN is no data.

        Raises:
            ValueError: the store is damaged.
        """
        try:
            stored = self.array[self.time_index, :, rows, columns]
        except Exception as error:  # each codec has errors of its own
            raise ValueError(f"{printable(self.path)} cannot be read: {sentence(error)}") from error
        return decode(np.moveaxis(stored, 0, -1))


def open_zarr(path: str, start: str = "") -> ZarrField:
    """Open the field of a period.

    Args:
        path: or URL, of the store.
        start: how the period begins, such as 2019 or 2019-07; empty if the store has only one.

    Returns:
        The field.

    Raises:
        ValueError: the store is missing or damaged, is none of fields, or has no such period, or several.
        ModuleNotFoundError: zarr is not installed.
    """
    with needs_extra("Zarr stores", "fields"):
        import zarr
    try:
        group: Any = zarr.open_group(path, mode="r")
        array, valid = group[ARRAY], _periods(group, "time_bnds")
        support = _periods(group, "support_bnds") if "support_bnds" in group else [None] * len(valid)
        crs, transform = _ground(dict(group["spatial_ref"].attrs))
        model = printable(str(group.attrs.get("AEF_MODEL", "")))
        _, embed_dim, height, width = array.shape
        if array.dtype not in (np.int8, np.float32) or len(valid) != array.shape[0]:
            raise ValueError(f"{ARRAY} is {array.dtype} {array.shape}, expected int8 or float32 (time, band, y, x)")
    except Exception as error:  # missing files, other arrays, wrong types: zarr has no base class for its errors
        raise ValueError(f"{printable(path)} is no Zarr store of embedding fields: {sentence(error)}") from error
    fits = [index for index, period in enumerate(valid) if iso(period[0]).startswith(start)]
    if len(fits) != 1:
        starts = ", ".join(iso(period[0])[:10] for period in valid)
        asked = f"no single period from {printable(start)}" if start else "several periods"
        raise ValueError(f"{printable(path)} has {asked}, expected one of {path}#START, with START of {starts}")
    index = fits[0]
    info = FieldInfo(crs, transform, (height, width), embed_dim, valid[index], support[index], model)
    return ZarrField(path, info, array, index)


def _periods(group: Any, name: str) -> list[Period]:
    return [(int(start), int(end)) for start, end in group[name][:]]


def _ground(attributes: dict[str, Any]) -> tuple[str, Affine]:
    with needs_extra("Zarr stores", "fields"):
        from pyproj import CRS
    crs = CRS.from_wkt(attributes["crs_wkt"])
    west, a, _, north, _, e = map(float, attributes["GeoTransform"].split())
    code = crs.to_authority()
    return ":".join(code) if code else crs.to_wkt(), (a, 0.0, west, 0.0, e, north)
