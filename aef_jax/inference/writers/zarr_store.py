"""Write embedding fields of several periods as one Zarr store: array `embeddings` of (time, band, y, x).

Zarr version 3, with coordinates, periods and coordinate reference system by the CF conventions, which GeoZarr takes
over: xarray, rioxarray and GDAL find them.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32

from aef_jax.data.store.site import Period
from aef_jax.files.atomic import replace_folder
from aef_jax.inference.coordinates import grid_coordinates
from aef_jax.inference.encoding import NO_DATA_OF, StoredAs, band_names, describe, encode, software
from aef_jax.inference.extras import needs_extra
from aef_jax.inference.field import FieldInfo, FieldWriter

ARRAY = "embeddings"
SHARD, CHUNK = 256, 32
"""Sides of a file and of a chunk in it, in pixels of all bands. A file is written at once by a window of its size; a
chunk is what is read for one pixel, 64 KiB of int8."""


class _PeriodWriter(NamedTuple):
    array: Any
    time_index: int
    dtype: StoredAs

    def write(self, rows: slice, columns: slice, field: Float32[np.ndarray, "h w D"]) -> None:
        self.array[self.time_index, :, rows, columns] = np.moveaxis(encode(field, self.dtype), -1, 0)


@contextmanager
def write_zarr(path: Path, infos: Sequence[FieldInfo], dtype: StoredAs = "int8") -> Iterator[list[FieldWriter]]:
    """Write fields of several periods, window by window. The store appears complete at the end, or not at all.

    Windows of multiples of 256 rows and columns from the corner are the fastest; any others are right too.

    Args:
        path: the folder to write. Folders above it are created, and a store of this name is replaced.
        infos: of the fields, in the order of their periods, all on one grid and by one model.
        dtype: int8 for one byte per number, quantized as in the release; or float32.

    Yields:
        A writer for each period. What is not written is no data.

    Raises:
        ModuleNotFoundError: xarray, zarr or pyproj is not installed.
        ValueError: the fields have different grids or no period, or something else is in the folder.
    """
    with needs_extra("Zarr stores", "fields"):
        import pyproj  # noqa: F401
        import xarray  # noqa: F401
        import zarr
        from zarr.errors import ZarrUserWarning
    if len({(info.crs, info.transform, info.shape, info.embed_dim, info.model) for info in infos}) != 1:
        raise ValueError(f"{path}: its fields differ in grid or model, expected one of both in a store")
    if any(info.period is None for info in infos):
        raise ValueError(f"{path}: a field has no period, expected one, which is its time in the store")
    coordinates = _coordinates(infos)
    names = {"zarr.json", ARRAY, *map(str, coordinates.variables)}
    with replace_folder(path, overwrite=True, may_replace=names.__contains__) as folder:
        coordinates.assign_attrs(_attributes(infos[0], dtype)).to_zarr(folder, zarr_format=3, consolidated=False)
        array = _create_array(zarr.open_group(folder, mode="r+"), infos, dtype)
        yield [_PeriodWriter(array, index, dtype) for index in range(len(infos))]
        with warnings.catch_warnings():
            # the metadata of all arrays in one file is an extension of version 3, which readers may ignore
            warnings.simplefilter("ignore", ZarrUserWarning)
            zarr.consolidate_metadata(folder)


def _create_array(group: Any, infos: Sequence[FieldInfo], dtype: StoredAs) -> Any:
    height, width = infos[0].shape
    attributes = {"long_name": "embedding field", "grid_mapping": "spatial_ref"}
    if dtype == "int8":  # xarray masks by this attribute; a NaN needs none
        attributes |= {"_FillValue": NO_DATA_OF[dtype]}
    return group.create_array(
        ARRAY,
        shape=(len(infos), infos[0].embed_dim, height, width),
        dtype=dtype,
        chunks=(1, infos[0].embed_dim, CHUNK, CHUNK),
        shards=(1, infos[0].embed_dim, SHARD, SHARD),
        fill_value=NO_DATA_OF[dtype],
        dimension_names=("time", "band", "y", "x"),
        attributes=attributes,
    )


def _attributes(info: FieldInfo, dtype: StoredAs) -> dict[str, str]:
    described = describe(info._replace(period=None, support=None), dtype)
    return {"Conventions": "CF-1.11", "title": "embedding fields", "history": f"written by {software()}", **described}


def _coordinates(infos: Sequence[FieldInfo]) -> Any:
    """Make the coordinates of the store: a dataset without data."""
    import xarray

    info = infos[0]
    valid, support = ([getattr(info, name) for info in infos] for name in ("period", "support"))
    times: dict[str, tuple] = {
        "time": ("time", _instants(valid)[:, 0], {"standard_name": "time", "bounds": "time_bnds"})
    }
    times["time_bnds"] = (("time", "bounds"), _instants(valid))
    if None not in support:
        meaning = {"long_name": "period of the frames that were used"}
        times["support_bnds"] = (("time", "bounds"), _instants(support), meaning)
    # of text only NumPy's objects become a type that version 3 specifies
    bands = ("band", np.array(band_names(info.embed_dim), object))
    dataset = xarray.Dataset(coords={**times, "band": bands, **grid_coordinates(info)})
    for name in times:
        in_ms = {"units": "milliseconds since 1970-01-01", "calendar": "proleptic_gregorian", "dtype": "int64"}
        dataset[name].encoding = in_ms
    return dataset


def _instants(periods: Sequence[Period]) -> np.ndarray:
    return np.array(periods, "datetime64[ms]").astype("datetime64[ns]")
