"""Write a result as GeoTIFF window by window, with overviews."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Shaped

from aef_jax.analysis.windows import WINDOW
from aef_jax.files.atomic import replace_file, require_writable
from aef_jax.inference.extras import needs_extra
from aef_jax.inference.field import FieldInfo, Window
from aef_jax.visualize.field_colors import class_colors

WriteWindow = Callable[[Window, Shaped[np.ndarray, "h w B"]], None]
"""Writes the bands of a window."""


class RasterLayout(NamedTuple):
    """The bands of a result."""

    names: tuple[str, ...]
    """Description of each band."""
    dtype: str
    """Of all bands."""
    nodata: float | None = None
    """Value that is no data; None if the last band is the opacity."""
    classes: tuple[str, ...] = ()
    """Names of the classes that the first band holds, counted from 1; at most 255. They are written as the tags CLASS_1
    and so on, and their colors as a color table. Overviews then take the most frequent class."""


@contextmanager
def create_raster(path: Path, info: FieldInfo, layout: RasterLayout) -> Iterator[WriteWindow]:
    """Write a GeoTIFF on the grid of a field. It appears whole at the end of the context, or not at all.

    Args:
        path: the file to write.
        info: of the field.
        layout: of the file.

    Yields:
        A function that writes a window of it.

    Raises:
        ModuleNotFoundError: rasterio is not installed.
    """
    import rasterio
    from rasterio.enums import Resampling

    with replace_file(path) as temporary:
        with rasterio.open(temporary, "w", **_creation_options(info, layout)) as dataset:
            dataset.descriptions = layout.names
            dataset.update_tags(**{f"CLASS_{number}": name for number, name in enumerate(layout.classes, start=1)})
            if layout.classes:
                colors = np.rint(255 * class_colors(len(layout.classes))).astype(int).tolist()
                dataset.write_colormap(1, {0: (0, 0, 0, 0)} | dict(enumerate(map(tuple, colors), start=1)))

            def write(window: Window, bands: Shaped[np.ndarray, "h w B"]) -> None:
                dataset.write(np.moveaxis(bands, -1, 0), window=window)

            yield write
        factors = [2**n for n in range(1, 12) if max(info.shape) / 2**n > WINDOW / 2]
        resampling = Resampling["mode" if layout.classes else "average"]
        with rasterio.open(temporary, "r+") as dataset:
            dataset.build_overviews(factors, resampling)


def require_raster_target(output: Path) -> None:
    """Refuse before the work what no GeoTIFF can be written to.

    Args:
        output: the GeoTIFF to write.

    Raises:
        ModuleNotFoundError: rasterio is not installed.
        ValueError: the name does not end in .tif, or the file cannot be written.
    """
    with needs_extra("GeoTIFFs", "geo"):
        import rasterio  # noqa: F401
    if output.suffix not in (".tif", ".tiff") or output.is_dir():
        raise ValueError(f"{output} is not a path for a GeoTIFF, expected a file name that ends in .tif")
    require_writable(output)


def _creation_options(info: FieldInfo, layout: RasterLayout) -> dict[str, Any]:
    from rasterio import Affine

    height, width = info.shape
    options: dict[str, Any] = {"height": height, "width": width, "count": len(layout.names), "dtype": layout.dtype}
    options |= {"crs": info.crs, "transform": Affine(*info.transform), "driver": "GTiff"}
    options |= {"tiled": True, "blockxsize": WINDOW, "blockysize": WINDOW, "compress": "deflate"}
    options |= {"bigtiff": "if_safer"}
    if layout.classes:
        options["photometric"] = "palette"
    if layout.nodata is None:
        return options | {"photometric": "rgb", "alpha": "yes"}
    return options | {"nodata": layout.nodata}


def read_reduced(path: Path, longest: int) -> Shaped[np.ndarray, "h w B"]:
    """Read a raster from its overviews, for a picture.

    Args:
        path: of the GeoTIFF.
        longest: the most pixels of a side.

    Returns:
        The bands.
    """
    import rasterio

    with rasterio.open(path) as dataset:
        factor = max(1, -(-max(dataset.shape) // longest))
        height, width = (max(1, length // factor) for length in dataset.shape)
        return np.moveaxis(dataset.read(out_shape=(dataset.count, height, width)), 0, -1)
