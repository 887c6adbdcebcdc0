"""What a reader of files returns: acquisitions, each a time and the rasters that were taken then."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from aef_jax.data.build.config import FilesConfig, LabelsConfig
from aef_jax.data.build.readers.grid import Raster


@dataclass(frozen=True)
class Acquisition:
    """Rasters of one time in one product. Several products may be of one pass: other bands, or ground beside it."""

    time_ms: int
    """Epoch milliseconds; 0 if the raster is a map without a time."""
    product: str
    """What orders products of one time: the last shows through, the others fill what it lacks."""
    rasters: Mapping[str, Raster]
    """By their names in the file."""


Reader = Callable[[Path, FilesConfig | LabelsConfig], list[Acquisition]]
"""Lists the acquisitions in a file or folder. It reads no pixels. Raises ValueError or OSError, with the path.

To read another format, write such a function, and add its suffixes to `READERS` in find_files.py.
"""
