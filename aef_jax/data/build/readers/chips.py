"""Read chips, arrays of one place: `.npz` files, and `.npy` files in a `.tar`. A table says where they are."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import rasterio
from jaxtyping import Float32, Int64
from rasterio.transform import Affine

from aef_jax.data.build.catalogs.acquisition import Acquisition
from aef_jax.data.build.config import FilesConfig, LabelsConfig
from aef_jax.data.build.readers.file_table import row_of_file
from aef_jax.data.build.readers.grid import parse_crs
from aef_jax.data.build.readers.npy_archive import Member, list_arrays, read_array, read_header
from aef_jax.data.build.readers.remote import local_copy, without_query
from aef_jax.data.build.readers.times import epoch_ms, parse_time
from aef_jax.data.build.sites.utm_grid import square_around
from aef_jax.data.store.georeference import validate_crs
from configs.serialization.printable import printable, sentence
from configs.source import PIXEL_M
from configs.validate import require


@dataclass(frozen=True, slots=True)
class _Chip:
    """An array on the ground. Its rows run from north to south."""

    member: Member
    frames: int | None
    """Length of its first axis, which is time; None if its axes are rows, columns and bands."""
    crs: rasterio.CRS
    transform: Affine
    shape: tuple[int, int]


@dataclass(frozen=True, slots=True)
class _ChipBand:
    """One band of one frame of a chip."""

    chip: _Chip
    frame: int
    channel: int
    name: str

    @property
    def where(self) -> str:
        """File, member and band, for messages."""
        return f"{self.chip.member.where}, band {printable(self.name)}"

    @property
    def crs(self) -> rasterio.CRS:
        """Coordinate reference system, as the table says."""
        return self.chip.crs

    @property
    def transform(self) -> Affine:
        """Of the chip."""
        return self.chip.transform

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.chip.shape

    def read(self, rows: slice, columns: slice) -> Float32[np.ndarray, "h w"]:
        """Read a window; a chip says nothing of no data. See `Raster`."""
        pixels = read_array(self.chip.member)
        frame = pixels if self.chip.frames is None else pixels[self.frame]
        return frame[rows, columns, self.channel].astype(np.float32)


def list_acquisitions(path: str, files: FilesConfig | LabelsConfig) -> list[Acquisition]:
    """List the frames of chips.

    An `.npz` has an array with the source's name, of shape (T, H, W, C), and one of T times called `ts_` and the name,
    in epoch milliseconds or `time_unit`; a source without time needs none. An `.npy` in a `.tar` has the shape
    (T, H, W, C) or (H, W, C); its row of the table has the times.

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
    where = printable(without_query(path))
    if isinstance(files, LabelsConfig) or not files.order or not files.table:
        raise ValueError(f"{where}: arrays name neither their bands nor their place: give order and table")
    local = str(local_copy(path, files.cache))
    members = list_arrays(without_query(path), local)
    if PurePosixPath(local).suffix.lower() == ".npz":
        return _acquisitions_of_npz(members, files, where)
    require(bool(members), f"{where} has no .npy file")
    return [each for member in members.values() for each in _acquisitions_of_npy(member, files)]


def _acquisitions_of_npz(members: Mapping[str, Member], files: FilesConfig, where: str) -> list[Acquisition]:
    pixels, times = (members.get(f"{name}.npy") for name in (files.name, f"ts_{files.name}"))
    if pixels is None or (times is None and files.source.timed):
        raise ValueError(f"{where} has no array {f'ts_{files.name}' if pixels else files.name!r}")
    chip = _place(pixels, row_of_file(files.table, pixels.archive), files)
    if times is None:
        return list(_acquisitions(chip, np.zeros(0, np.int64), files))
    _require_times(chip, read_header(times).shape)
    return list(_acquisitions(chip, epoch_ms(read_array(times), times.where, files.time_unit or "ms"), files))


def _acquisitions_of_npy(member: Member, files: FilesConfig) -> Iterator[Acquisition]:
    row = row_of_file(files.table, f"{member.archive}/{member.name}")
    chip = _place(member, row, files)
    times = [parse_time(text, f"{files.table}, {member.where}") for text in row.get("time", "").split()]
    if files.source.timed:
        _require_times(chip, (len(times),))
    yield from _acquisitions(chip, np.array(times, np.int64), files)


def _acquisitions(chip: _Chip, times: Int64[np.ndarray, "T"], files: FilesConfig) -> Iterator[Acquisition]:
    for frame in range(chip.frames or 1):
        bands = {name: _ChipBand(chip, frame, channel, name) for channel, name in enumerate(files.order)}
        time_ms = int(times[frame]) if files.source.timed else 0
        yield Acquisition(time_ms, chip.member.archive, bands, chip.transform.a)


def _require_times(chip: _Chip, shape: tuple[int, ...]) -> None:
    frames = chip.frames or 1
    require(shape == (frames,), f"{chip.member.where}: it has {frames} frames, and times of shape {shape}")


def _place(member: Member, row: Mapping[str, str], files: FilesConfig) -> _Chip:
    """Put an array on the ground that its row of the table says."""
    header, expected = read_header(member), f"(T, H, W, {len(files.order)}) or (H, W, {len(files.order)})"
    shape, is_number = header.shape, header.dtype.kind in "iuf"
    if not is_number or len(shape) not in (3, 4) or shape[-1] != len(files.order) or 0 in shape:
        raise ValueError(f"{member.where}: it is {header.dtype} of shape {shape}, expected numbers of shape {expected}")
    height, width = shape[-3:-1]
    table = f"{files.table}, the row of {member.where}"
    try:
        pixel = float(row.get("pixel") or PIXEL_M)
        require(0 < pixel < np.inf, f"its pixel is {pixel}")
        if row.get("crs"):
            crs, west, north = row["crs"], float(row["west"]), float(row["north"])
        else:
            crs, west, north = square_around(float(row["lon"]), float(row["lat"]), (width * pixel, height * pixel))
        require(bool(np.isfinite([west, north]).all()), f"its corner is {west}, {north}")
    except (KeyError, ValueError) as error:
        raise ValueError(f"{table}: {sentence(error)}: expected lon and lat, or crs, west and north") from None
    validate_crs(table, crs)
    transform = Affine(pixel, 0, west, 0, -pixel, north)
    return _Chip(member, shape[0] if len(shape) == 4 else None, parse_crs(crs, table), transform, (height, width))
