"""Where fields are written: names, formats and pictures."""

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float32

from aef_jax.console.dates import format_date, format_period
from aef_jax.files.atomic import require_writable
from aef_jax.inference.extras import needs_extra
from aef_jax.inference.field import FieldInfo, FieldWriter
from aef_jax.inference.writers.cog import MAX_SIDE, write_cog
from aef_jax.visualize.pictures import write_field_png
from configs.fields.periods import Period
from configs.serialization.printable import printable
from configs.source import PIXEL_M

FieldFormat = Literal["cog", "zarr"]
MAX_PICTURE_SIDE = 512
"""Pixels of a picture; of larger fields every second, third, ... pixel is drawn."""


@dataclass(frozen=True)
class Target:
    """Files of fields."""

    path: Path
    """A file .tif, a store .zarr, or a folder of several."""
    format: FieldFormat
    dtype: Literal["int8", "float32"]
    stac: bool
    """Whether to write a STAC item beside each."""
    weights: str | None = None
    """Path or URL of the model's weights, for the items' mlm extension."""

    @property
    def max_side(self) -> int:
        """Most rows and columns of a file; a Zarr store has no such limit."""
        is_store = self.path.suffix == ".zarr" or (not self.path.suffix and self.format == "zarr")
        return sys.maxsize if is_store else MAX_SIDE

    def require(self, regions: int, periods: int) -> None:
        """Refuse before the work what the fields cannot be written to.

        Args:
            regions: rectangles of ground.
            periods: valid periods of each.

        Raises:
            ModuleNotFoundError: rasterio is not installed.
            ValueError: the fields do not fit into the file or the store, or it cannot be written.
        """
        with needs_extra("fields", "geo"):
            import rasterio  # noqa: F401
        is_file, is_store = self.path.suffix in (".tif", ".tiff"), self.path.suffix == ".zarr"
        if self.path.suffix and not (is_file or is_store):
            raise ValueError(f"{self.path} is no path for fields, expected .tif, .zarr, or a folder without a suffix")
        if is_file and (regions * periods > 1 or self.path.is_dir()):
            raise ValueError(f"{self.path} is for one field, and there are {regions * periods}: expected a folder")
        if is_store and regions > 1:
            raise ValueError(f"{self.path} is for one grid, and there are {regions}: expected a folder")
        require_writable(self.path if is_file or is_store else self.path / "field")

    def paths(self, name: str, periods: Sequence[Period]) -> list[Path]:
        """Name the files of a rectangle of ground.

        Args:
            name: of the ground.
            periods: the valid periods.

        Returns:
            A file for each period, or one store for all.
        """
        if self.path.suffix:
            return [self.path]
        name = re.sub(r"[^\w.-]", "_", name).lstrip(".")
        if self.format == "zarr":
            return [self.path / f"{name}.zarr"]
        return [self.path / f"{name}_{name_period(period)}.tif" for period in periods]

    @contextmanager
    def open(self, name: str, infos: Sequence[FieldInfo]) -> Iterator[list[FieldWriter]]:
        """Write the fields of a rectangle of ground, with pictures. They appear when all is written, or not at all.

        Args:
            name: of the ground.
            infos: of the field of each period.

        Yields:
            A writer for each period.
        """
        paths = self.paths(name, [info.period for info in infos if info.period])
        pictures = [_Picture(info) for info in infos]
        with ExitStack() as stack:
            if paths[0].suffix == ".zarr":
                from aef_jax.inference.writers.zarr_store import write_zarr

                writers = stack.enter_context(write_zarr(paths[0], infos, self.dtype))
            else:
                writers = [
                    stack.enter_context(write_cog(path, info, self.dtype))
                    for path, info in zip(paths, infos, strict=True)
                ]
            yield [_Both(writer, picture) for writer, picture in zip(writers, pictures, strict=True)]
        if self.stac:
            from aef_jax.inference.writers.stac_item import write_stac_item

            for index, path in enumerate(paths):
                write_stac_item(
                    path, infos if path.suffix == ".zarr" else infos[index : index + 1], self.dtype, self.weights
                )
        for index, picture in enumerate(pictures):
            path = paths[index] if len(paths) > 1 else paths[0]
            info = infos[index]
            named = f"{path.stem}_{name_period(info.period)}" if info.period and len(paths) < len(infos) else path.stem
            picture.draw(path.with_name(f"{named}.png"), name)


class _Picture:
    """Keeps some pixels of a field, to draw them."""

    def __init__(self, info: FieldInfo):
        self.info = info
        self.step = -(-max(info.shape) // MAX_PICTURE_SIDE)
        shape = [-(-length // self.step) for length in info.shape]
        self.pixels = np.full((*shape, info.embed_dim), np.nan, np.float32)

    def write(self, rows: slice, columns: slice, field: Float32[np.ndarray, "h w D"]) -> None:
        first = [-each.start % self.step for each in (rows, columns)]
        part = field[first[0] :: self.step, first[1] :: self.step]
        row, column = ((each.start + skip) // self.step for each, skip in zip((rows, columns), first, strict=True))
        self.pixels[row : row + part.shape[0], column : column + part.shape[1]] = part

    def draw(self, path: Path, name: str) -> None:
        if np.isfinite(self.pixels).any():
            period = f", {format_period(self.info.period)}" if self.info.period else ""
            write_field_png(path, self.pixels, f"Embedding field of {printable(name)}{period}", PIXEL_M * self.step)


@dataclass(frozen=True)
class _Both:
    writer: FieldWriter
    picture: _Picture

    def write(self, rows: slice, columns: slice, field: Float32[np.ndarray, "h w D"]) -> None:
        self.writer.write(rows, columns, field)
        self.picture.write(rows, columns, field)


def name_period(period: Period) -> str:
    """Name a valid period in names of files.

    Args:
        period: in epoch milliseconds.

    Returns:
        2018 for a calendar year; otherwise its days, such as 2018-06-01_2018-09-01.
    """
    start, end = (format_date(ms) for ms in period)
    is_year = start[4:] == end[4:] == "-01-01" and int(end[:4]) == int(start[:4]) + 1
    return start[:4] if is_year else f"{start}_{end}"
