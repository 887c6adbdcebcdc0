"""Read maps of labels: of a data set's records, and rasters."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
from jaxtyping import Num
from tqdm import tqdm

from aef_jax.data.store.dataset import Dataset
from aef_jax.data.store.record import OLD_LABELS_NAME
from aef_jax.data.store.records import Split
from aef_jax.data.store.site import Affine
from aef_jax.evaluation.labels.georeference import pixel_centers, to_degrees
from aef_jax.evaluation.labels.labeled_points import RawLabels
from aef_jax.inference.extras import needs_extra
from configs.serialization.config_json import nearest
from configs.validate import require

MAX_PIXELS = 100_000_000
"""Most pixels of a raster of labels."""


def read_dataset_labels(path: Path, name: str, splits: Collection[Split]) -> tuple[RawLabels, int]:
    """Read a label map of a data set's records.

    Args:
        path: folder of the data set.
        name: of the map; empty if there is but one.
        splits: whose records are read.

    Returns:
        A label for each pixel with one, in groups by record; and the number of records.

    Raises:
        ValueError: there is no such map, or no record of the splits has it.
    """
    dataset = Dataset.open(path)
    name, parts, number = choose_labels(dataset, name), [], 0
    for split in splits:
        for site in tqdm(dataset.records(split), "labels", unit="site", leave=False, disable=None):
            if name in site.labels:
                where = f"{path}, site {site.name}"
                parts.append(
                    _labels_of_map(site.labels[name], site.labels[name] >= 0, site.transform, site.crs, where, number)
                )
            number += 1
    require(bool(parts), f"{path}: no record of the {' or '.join(splits)} split has {name!r}, expected at least one")
    lon, lat, values, row, group = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return RawLabels(lon, lat, values, row, group), number


def read_raster_labels(path: Path) -> tuple[RawLabels, int]:
    """Read a raster of classes or values: the first band of a GeoTIFF.

    Args:
        path: the file.

    Returns:
        A label for each pixel that is not no data, as one group; and the number 1.

    Raises:
        ValueError: it has no crs, is rotated or is too large.
        ModuleNotFoundError: rasterio is not installed.
    """
    with needs_extra("GeoTIFFs", "geo"):
        import rasterio
    with rasterio.open(path) as source:
        require(source.crs is not None, f"{path}: it has no crs, expected a georeferenced map")
        require(source.count == 1, f"{path}: it has {source.count} bands, expected one map of classes or values")
        size = source.width * source.height
        require(size <= MAX_PIXELS, f"{path}: it has {size:,} pixels, expected at most {MAX_PIXELS:,}")
        values = source.read(1, masked=True)
        transform, crs = tuple(source.transform)[:6], source.crs.to_wkt()
    is_label = ~np.ma.getmaskarray(values)
    if values.dtype.kind == "f":
        is_label &= np.isfinite(values.data)
    return _labels_of_map(values.data, is_label, transform, crs, str(path), 0), 1


def choose_labels(dataset: Dataset, name: str) -> str:
    """Choose a label map of a data set.

    Args:
        dataset: the data set.
        name: of the map; empty if there is but one.

    Returns:
        The name of the map.

    Raises:
        ValueError: there is no map, none of this name, or several and no name.
    """
    names = [OLD_LABELS_NAME] if dataset.labels is None else list(dataset.labels)
    if not names:
        raise ValueError(f"{dataset.path}: none of its sites has labels, expected at least one")
    if not name and len(names) > 1:
        raise ValueError(f"{dataset.path}: it has the label maps {', '.join(names)}: choose one with --column")
    if name and name not in names:
        raise ValueError(f"{dataset.path}: it has no label map {name!r}; {nearest(name, names)}")
    return name or names[0]


def _labels_of_map(
    values: Num[np.ndarray, "H W"], is_label: np.ndarray, transform: Affine, crs: str, where: str, number: int
) -> RawLabels:
    row, column = np.nonzero(is_label)
    lon, lat = to_degrees(*pixel_centers(row, column, transform), crs, where)
    numbers = np.full(len(row), number, np.int64)
    return RawLabels(lon, lat, values[row, column], numbers, numbers)
