"""List the files of an entry and the acquisitions in them, by the reader of each format."""

from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

from aef_jax.data.build.catalogs.acquisition import Acquisition
from aef_jax.data.build.config import FilesConfig, LabelsConfig
from aef_jax.data.build.readers import chips, cube, geotiff
from aef_jax.data.build.readers.remote import find_remote, is_remote, without_query
from configs.serialization.printable import printable

Reader = Callable[[str, FilesConfig | LabelsConfig], list[Acquisition]]
"""Lists the acquisitions in a file or folder. It reads no pixels. Raises ValueError, with the path."""

READERS: Mapping[str, Reader] = {
    ".tif": geotiff.list_acquisitions,
    ".tiff": geotiff.list_acquisitions,
    ".jp2": geotiff.list_acquisitions,
    ".nc": cube.list_acquisitions,
    ".nc4": cube.list_acquisitions,
    ".zarr": cube.list_acquisitions,
    ".npz": chips.list_acquisitions,
    ".tar": chips.list_acquisitions,
}


def find_files(folder: Path, patterns: tuple[str, ...]) -> list[str]:
    """List the files that match any pattern.

    Args:
        folder: what relative patterns begin from.
        patterns: paths or URLs with `*`, `?` and `**`.

    Returns:
        Paths and URLs, sorted, each once.

    Raises:
        ValueError: a pattern matches nothing, or no file whose format has a reader.
    """
    paths: set[str] = set()
    for pattern in patterns:
        matches = [path for path in _matches(folder, pattern) if _suffix(path) in READERS]
        if not matches:
            raise ValueError(f"{printable(pattern)} matches no file in {folder} that ends with {', '.join(READERS)}")
        paths.update(matches)
    return sorted(paths)


def list_acquisitions(path: str, files: FilesConfig | LabelsConfig) -> list[Acquisition]:
    """List the acquisitions in a file, by the reader of its format.

    Args:
        path: the file.
        files: the entry of the config that names it.

    Returns:
        The acquisitions.

    Raises:
        ValueError: as the reader.
    """
    return READERS[_suffix(path)](path, files)


def _matches(folder: Path, pattern: str) -> list[str]:
    if is_remote(pattern):
        return find_remote(pattern)
    anchor, relative = (Path(pattern).anchor, pattern.lstrip("/")) if Path(pattern).anchor else (folder, pattern)
    return [str(path) for path in Path(anchor).glob(relative)]


def _suffix(path: str) -> str:
    return PurePosixPath(without_query(path)).suffix.lower()
