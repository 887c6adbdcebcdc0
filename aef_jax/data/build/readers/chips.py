"""Read chips, arrays of one place: `.npz` files, and `.npy` files in a `.tar`. A table says where they are."""

import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath
from typing import IO, NamedTuple

import numpy as np
import rasterio
from jaxtyping import Float32, Int64, Num
from rasterio.transform import Affine

from aef_jax.data.build.catalogs.acquisition import Acquisition
from aef_jax.data.build.config import FilesConfig, LabelsConfig
from aef_jax.data.build.readers.file_table import rows_of_file
from aef_jax.data.build.readers.grid import parse_crs
from aef_jax.data.build.readers.remote import local_copy
from aef_jax.data.build.readers.times import epoch_ms, parse_time
from aef_jax.data.build.utm_grid import square_around
from configs.serialization.printable import printable, sentence
from configs.source import PIXEL_M

MAX_BYTES = 2**31
"""Most bytes of an array, which is read as a whole."""


class _Header(NamedTuple):
    shape: tuple[int, ...]
    """Frames, rows, columns and bands."""
    dtype: np.dtype


@dataclass(frozen=True, slots=True)
class _Array:
    """An array in a file."""

    path: str
    member: str
    """Its name in the zip or tar."""
    has_frames: bool
    """Whether its first axis is time."""
    crs: rasterio.CRS
    transform: Affine
    shape: tuple[int, int]

    @property
    def where(self) -> str:
        """File and member, for messages."""
        return f"{printable(self.path)}, {printable(self.member)}"


@dataclass(frozen=True, slots=True)
class _ChipBand:
    """One band of one frame of an array. Its rows run from north to south."""

    array: _Array
    frame: int
    channel: int
    name: str

    @property
    def where(self) -> str:
        """File, member and band, for messages."""
        return f"{self.array.where}, band {printable(self.name)}"

    @property
    def crs(self) -> rasterio.CRS:
        """Coordinate reference system, as the table says."""
        return self.array.crs

    @property
    def transform(self) -> Affine:
        """Of the array."""
        return self.array.transform

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.array.shape

    def read(self, rows: slice, columns: slice) -> Float32[np.ndarray, "h w"]:
        """Read a window; a chip says nothing of no data. See `Raster`."""
        try:
            pixels = _load(self.array.path, self.array.member)
        except (OSError, ValueError, zipfile.BadZipFile, tarfile.TarError) as error:
            raise ValueError(f"{self.where}: it cannot be read: {sentence(error)}") from error
        frame = pixels[self.frame] if self.array.has_frames else pixels
        return frame[rows, columns, self.channel].astype(np.float32)


def list_acquisitions(path: str, files: FilesConfig | LabelsConfig) -> list[Acquisition]:
    """List the frames of chips.

    An `.npz` has an array with the source's name, of shape (T, H, W, C), and one of T times called `ts_` and the name,
    in epoch milliseconds. An `.npy` in a `.tar` has the shape (T, H, W, C) or (H, W, C); its row of the table has the
    times.

    Args:
        path: an `.npz` or `.tar`, or its URL.
        files: the entry of the config. `order` names the bands. `table` has a row for each `.npz` or `.npy`, with its
            center as lon and lat, or crs, west and north; if wanted `pixel`, in meters; and `time`, with spaces between
            several.

    Returns:
        An acquisition for each frame.

    Raises:
        ValueError: the file is damaged, has other arrays, names that lead out of it, or no row of the table.
    """
    where = printable(path)
    if isinstance(files, LabelsConfig) or not files.order or not files.table:
        raise ValueError(f"{where}: arrays name neither their bands nor their place: give order and table")
    local = str(local_copy(path, files.cache))
    try:
        list_arrays = _list_npz if PurePosixPath(local).suffix == ".npz" else _list_tar
        return [each for array in list_arrays(local, files) for each in _acquisitions(*array, files)]
    except (OSError, zipfile.BadZipFile, tarfile.TarError, EOFError, KeyError) as error:
        raise ValueError(f"{where} cannot be read: {sentence(error)}") from error


def _list_npz(path: str, files: FilesConfig) -> Iterator[tuple[_Array, Int64[np.ndarray, "T"]]]:
    member, times = f"{files.name}.npy", f"ts_{files.name}.npy"
    with zipfile.ZipFile(path) as archive:
        missing = {member, times} - set(archive.namelist())
    if missing:
        raise ValueError(f"{printable(path)} has no array {min(missing).removesuffix('.npy')!r}")
    (row, *_) = rows_of_file(files.table, path)
    array = _place(path, member, row, files)
    yield array, epoch_ms(_load(path, times), f"{printable(path)}, ts_{files.name}", "ms")


def _list_tar(path: str, files: FilesConfig) -> Iterator[tuple[_Array, Int64[np.ndarray, "T"]]]:
    with tarfile.open(path, "r:") as archive:
        names = [member.name for member in archive if member.name.endswith(".npy")]
    for name in names:
        if name.startswith("/") or ".." in PurePosixPath(name).parts:
            raise ValueError(f"{printable(path)} has a member {printable(name)!r}, whose path leads out of it")
        (row, *_) = rows_of_file(files.table, name)
        array = _place(path, name, row, files)
        times = [parse_time(text, f"{files.table}, {array.where}") for text in row.get("time", "").split()]
        yield array, np.array(times, np.int64)


def _acquisitions(array: _Array, times: Int64[np.ndarray, "T"], files: FilesConfig) -> Iterator[Acquisition]:
    frames = _header(array.path, array.member).shape[0] if array.has_frames else 1
    if files.source.timed and len(times) != frames:
        raise ValueError(f"{array.where} has {frames} frames and {len(times)} times")
    for frame in range(frames):
        bands = {name: _ChipBand(array, frame, channel, name) for channel, name in enumerate(files.order)}
        yield Acquisition(int(times[frame]) if files.source.timed else 0, array.path, bands, array.transform.a)


def _place(path: str, member: str, row: Mapping[str, str], files: FilesConfig) -> _Array:
    """Put an array on the ground that its row of the table says."""
    where = f"{printable(path)}, {printable(member)}"
    shape, dtype = _header(path, member)
    if dtype.kind not in "iuf" or len(shape) not in (3, 4) or shape[-1] != len(files.order):
        raise ValueError(f"{where} is {dtype} {shape}, expected numbers (T, H, W, {len(files.order)}) or (H, W, ...)")
    height, width = shape[-3:-1]
    try:
        pixel = float(row.get("pixel") or PIXEL_M)
        if row.get("crs"):
            crs, west, north = row["crs"], float(row["west"]), float(row["north"])
        else:
            crs, west, north = square_around(float(row["lon"]), float(row["lat"]), (width * pixel, height * pixel))
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"{files.table}, the row of {where}: {sentence(error)}: expected lon and lat, or crs, west and north"
        ) from None
    transform = Affine(pixel, 0, west, 0, -pixel, north)
    return _Array(path, member, len(shape) == 4, parse_crs(crs, where), transform, (height, width))


@contextmanager
def _open(path: str, member: str) -> Iterator[IO[bytes]]:
    if PurePosixPath(path).suffix == ".npz":
        with zipfile.ZipFile(path) as archive, archive.open(member) as stream:
            yield stream
        return
    with tarfile.open(path, "r:") as archive:
        stream = archive.extractfile(member)  # into memory: nothing is written
        if stream is None:
            raise ValueError("it is no file")
        with stream:
            yield stream


@lru_cache(maxsize=64)
def _header(path: str, member: str) -> _Header:
    with _open(path, member) as stream:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
    if dtype.hasobject or np.prod(shape, dtype=np.float64) * dtype.itemsize > MAX_BYTES:
        raise ValueError(
            f"{printable(path)}, {printable(member)} is {dtype} {shape}, expected at most 2 GiB of numbers"
        )
    return _Header(shape, dtype)


@lru_cache(maxsize=2)
def _load(path: str, member: str) -> Num[np.ndarray, "..."]:
    _header(path, member)  # before memory is taken
    with _open(path, member) as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)
