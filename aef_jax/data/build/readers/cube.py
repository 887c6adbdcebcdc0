"""Read NetCDF files and Zarr stores: variables along time, y and x, in any order, y up or down."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import rasterio
from jaxtyping import Float32
from rasterio.transform import Affine

from aef_jax.data.build.catalogs.acquisition import Acquisition
from aef_jax.data.build.config import FilesConfig, LabelsConfig
from aef_jax.data.build.readers.grid import parse_crs
from aef_jax.data.build.readers.remote import local_copy, reason, without_query
from aef_jax.data.build.readers.times import epoch_ms
from configs.serialization.printable import printable, sentence

TIME = ("time", "t", "timestamp", "date", "datetime")
X = ("x", "lon", "longitude", "easting")
Y = ("y", "lat", "latitude", "northing")
SPACING = 1e-3
"""Accepted relative difference of the spacing of coordinates."""


@dataclass(frozen=True)
class _CubeLayer:
    """A variable of a cube at one time, its rows from north to south."""

    variable: Any
    """An xarray.DataArray with the dimensions y and x, not yet read."""
    where: str
    crs: rasterio.CRS
    transform: Affine
    shape: tuple[int, int]
    is_south_up: bool
    is_east_first: bool

    def read(self, rows: slice, columns: slice) -> Float32[np.ndarray, "h w"]:
        """Read a window; CF scale, offset and fill value are applied. See `Raster`."""
        height, width = self.shape
        y_index = slice(height - rows.stop, height - rows.start) if self.is_south_up else rows
        x_index = slice(width - columns.stop, width - columns.start) if self.is_east_first else columns
        try:
            values = self.variable[y_index, x_index].values
        except Exception as error:  # of whichever library stores it: netCDF4, zarr and their codecs
            raise ValueError(f"{self.where}: it cannot be read: {sentence(error)}") from error
        values = values[:: -1 if self.is_south_up else 1, :: -1 if self.is_east_first else 1]
        return np.ascontiguousarray(values, np.float32)


def list_acquisitions(path: str, files: FilesConfig | LabelsConfig) -> list[Acquisition]:
    """List the times of a cube.

    Args:
        path: a NetCDF file, or the folder of a Zarr store; or its URL.
        files: the entry of the config that names it.

    Returns:
        An acquisition for each time; one at time 0 for variables without a time.

    Raises:
        ValueError: the cube cannot be read, has no grid or no crs, or its times have no unit; the message has the path.
    """
    where = printable(without_query(path))
    cube = _open(path, files.cache)
    x, y, time = (_dimension(cube, names, axis) for names, axis in ((X, "X"), (Y, "Y"), (TIME, "T")))
    if x is None or y is None:
        raise ValueError(
            f"{where} has the dimensions {[str(name) for name in cube.sizes]}, expected x and y among them"
        )
    crs = _crs(cube, files.crs, where)
    transform, flipped = _transform(
        cube[x].values, cube[y].values, files.pixel if isinstance(files, FilesConfig) else 0.0, where
    )
    shape = cube.sizes[y], cube.sizes[x]

    def layer(name: Hashable, index: int | None) -> _CubeLayer:
        at_time = cube[name] if index is None else cube[name].isel({time: index})
        return _CubeLayer(at_time.transpose(y, x), f"{where}, {printable(str(name))}", crs, transform, shape, *flipped)

    if not isinstance(files, FilesConfig) or not files.source.timed:
        maps = [name for name in cube.data_vars if set(cube[name].dims) == {x, y}]
        return [Acquisition(0, path, {str(name): layer(name, None) for name in maps}, transform.a)]
    if time is None:
        raise ValueError(f"{where} has the dimensions {[str(name) for name in cube.sizes]}, expected time among them")
    timed = [name for name in cube.data_vars if set(cube[name].dims) == {x, y, time}]
    times = epoch_ms(cube[time].values, where, files.time_unit).tolist()
    return [
        Acquisition(time_ms, path, {str(name): layer(name, index) for name in timed}, transform.a)
        for index, time_ms in enumerate(times)
    ]


def _open(path: str, cache: str) -> Any:
    """Open a cube without reading it, as an xarray.Dataset."""
    import xarray

    is_zarr = PurePosixPath(without_query(path)).suffix.lower() == ".zarr"
    # a server that cannot list files has only consolidated metadata; elsewhere they may be missing, or stale
    zarr_options = {"engine": "zarr", "consolidated": path.startswith(("http://", "https://"))}
    opened, options = (path, zarr_options) if is_zarr else (local_copy(path, cache), {})
    try:
        cube = xarray.open_dataset(opened, decode_cf=False, **options)
        for variable in cube.variables.values():
            for name in {"scale_factor", "add_offset"} & variable.attrs.keys():
                variable.attrs[name] = float(variable.attrs[name])  # xarray cannot mask integers with integer scales
        return xarray.decode_cf(cube, decode_timedelta=False)  # a variable in days or seconds is a number
    except Exception as error:  # of whichever library stores it
        raise ValueError(f"{printable(without_query(path))} cannot be read: {reason(error, path)}") from error


def _dimension(cube: Any, names: Sequence[str], axis: str) -> Hashable | None:
    """Find a dimension by CF's `axis` attribute, or by its name."""
    for name in cube.sizes:
        if name in cube.variables and cube[name].attrs.get("axis") == axis:
            return name
    return next((name for name in cube.sizes if str(name).lower() in names), None)


def _crs(cube: Any, given: str, where: str) -> rasterio.CRS:
    """Read the coordinate reference system: CF's grid mapping, or an attribute `crs`."""
    texts = [
        text
        for variable in cube.variables.values()
        for text in (variable.attrs.get("crs_wkt"), variable.attrs.get("spatial_ref"))
        if text
    ]
    return parse_crs(given or next(iter([*texts, cube.attrs.get("crs", "")])), where)


def _transform(x: np.ndarray, y: np.ndarray, pixel: float, where: str) -> tuple[Affine, tuple[bool, bool]]:
    """Make the transform of a north-up grid from the centers of its pixels; and tell which axes run the other way."""
    steps = [_step(x, pixel, f"{where}: its x"), _step(y, -pixel, f"{where}: its y")]
    (dx, dy), west, north = np.abs(steps), x.min() - abs(steps[0]) / 2, y.max() + abs(steps[1]) / 2
    return Affine(dx, 0, west, 0, -dy, north), (bool(steps[1] > 0), bool(steps[0] < 0))


def _step(centers: np.ndarray, pixel: float, where: str) -> float:
    """Return the spacing of coordinates; that of a single one is told by the config."""
    if len(centers) == 1 and pixel:
        return pixel
    if len(centers) < 2:
        raise ValueError(f"{where} has {len(centers)} coordinates, expected at least 2: give pixel, the side of one")
    spacing = np.diff(centers.astype(np.float64))
    step = spacing.mean()
    if not step or not np.allclose(spacing, step, rtol=SPACING):
        raise ValueError(f"{where} coordinates are not evenly spaced")
    return float(step)
