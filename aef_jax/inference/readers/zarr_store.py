"""Read embedding fields from Zarr stores, as `aef_jax.inference.writers.zarr_store` writes them."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32

from aef_jax.data.store.site import Affine, Period
from aef_jax.inference.coordinates import transform_problem
from aef_jax.inference.encoding import decode
from aef_jax.inference.extras import needs_extra
from aef_jax.inference.field import FieldInfo
from aef_jax.inference.writers.zarr_store import ARRAY
from configs.fields.periods import format_days
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


def open_zarr(path: str, period: str = "") -> ZarrField:
    """Open the field of a period.

    Args:
        path: or URL, of the store.
        period: its days, or the beginning of them: 2019-01-01..2020-01-01, 2019-07, 2019; empty if there is only one.

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
        if problem := transform_problem(transform):
            raise ValueError(problem)
    except Exception as error:  # missing files, other arrays, wrong types: zarr has no base class for its errors
        raise ValueError(f"{printable(path)} is no Zarr store of embedding fields: {sentence(error)}") from error
    names = [format_days(*period) for period in valid]
    fits = [index for index, name in enumerate(names) if name.startswith(period)]
    if len(fits) != 1:
        asked = f"no single period {printable(period)}" if period else "several periods"
        raise ValueError(f"{printable(path)} has {asked}, expected one of {', '.join(names)} as in {path}#{names[0]}")
    index = fits[0]
    info = FieldInfo(crs, transform, (height, width), embed_dim, valid[index], support[index], model)
    return ZarrField(path, info, array, index)


def list_periods(path: str) -> list[str]:
    """List the periods of a store.

    Args:
        path: or URL, of the store.

    Returns:
        Their days, such as 2019-01-01..2020-01-01, as `open_zarr` takes them.

    Raises:
        ValueError: the store is missing or damaged.
        ModuleNotFoundError: zarr is not installed.
    """
    with needs_extra("Zarr stores", "fields"):
        import zarr
    try:
        return [format_days(*period) for period in _periods(zarr.open_group(path, mode="r"), "time_bnds")]
    except Exception as error:  # zarr has no base class for its errors
        raise ValueError(f"{printable(path)} is no Zarr store of embedding fields: {sentence(error)}") from error


def _periods(group: Any, name: str) -> list[Period]:
    return [(int(start), int(end)) for start, end in group[name][:]]


def _ground(attributes: dict[str, Any]) -> tuple[str, Affine]:
    with needs_extra("Zarr stores", "fields"):
        from pyproj import CRS
    crs = CRS.from_wkt(attributes["crs_wkt"])
    west, a, _, north, _, e = map(float, attributes["GeoTransform"].split())
    code = crs.to_authority()
    return ":".join(code) if code else crs.to_wkt(), (a, 0.0, west, 0.0, e, north)
