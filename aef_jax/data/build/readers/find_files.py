"""Choose the reader of a file by its suffix."""

from collections.abc import Mapping
from pathlib import Path

from aef_jax.data.build.config import FilesConfig, LabelsConfig
from aef_jax.data.build.readers import cube, geotiff
from aef_jax.data.build.readers.acquisition import Acquisition, Reader
from configs.serialization.printable import printable

READERS: Mapping[str, Reader] = {
    ".tif": geotiff.list_acquisitions,
    ".tiff": geotiff.list_acquisitions,
    ".jp2": geotiff.list_acquisitions,
    ".nc": cube.list_acquisitions,
    ".nc4": cube.list_acquisitions,
    ".zarr": cube.list_acquisitions,
}


def find_files(folder: Path, patterns: tuple[str, ...]) -> list[Path]:
    """List the files that match any pattern.

    Args:
        folder: what relative patterns begin from.
        patterns: paths with `*`, `?` and `**`.

    Returns:
        The paths, sorted, each once.

    Raises:
        ValueError: a pattern matches nothing, or a file whose format has no reader.
    """
    paths: set[Path] = set()
    for pattern in patterns:
        anchor, relative = (Path(pattern).anchor, pattern.lstrip("/")) if Path(pattern).anchor else (folder, pattern)
        matches = [path for path in Path(anchor).glob(relative) if path.suffix.lower() in READERS]
        if not matches:
            raise ValueError(f"{printable(pattern)} matches no file in {folder} that ends with {', '.join(READERS)}")
        paths.update(matches)
    return sorted(paths)


def list_acquisitions(path: Path, files: FilesConfig | LabelsConfig) -> list[Acquisition]:
    """List the acquisitions in a file, by the reader of its format.

    Args:
        path: the file.
        files: the entry of the config that names it.

    Returns:
        The acquisitions.

    Raises:
        ValueError: as the reader.
    """
    return READERS[path.suffix.lower()](path, files)
