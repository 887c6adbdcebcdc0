"""Read the labels that a path names: a file of points or polygons, a table of arrays, a raster, or a data set."""

from collections.abc import Collection
from pathlib import Path

import numpy as np

from aef_jax.data.places.features import read_features
from aef_jax.data.places.geometry import Rings
from aef_jax.data.store.records import Split
from aef_jax.evaluation.labels.georeference import to_degrees
from aef_jax.evaluation.labels.label_maps import read_dataset_labels, read_raster_labels
from aef_jax.evaluation.labels.labeled_points import LabeledPoints, RawLabels, Task, label_points
from aef_jax.evaluation.labels.point_arrays import read_arrays
from configs.source import PIXEL_M
from configs.validate import require

DEFAULT_COLUMN = "label"


def read_labels(
    path: Path, column: str, task: Task, ignore: Collection[str] = (), splits: Collection[Split] = ("validation",)
) -> LabeledPoints:
    """Read labels.

    Args:
        path: .csv, .json, .geojson, .parquet or .geoparquet with points or polygons (see `read_features`); .npz with
            arrays lon, lat and labels; .tif with a map; or a data set whose records have label maps.
        column: the column, array or label map; empty for `label`, or for a data set's only map.
        task: what is predicted.
        ignore: classes or values, as text, that are no label.
        splits: of a data set.

    Returns:
        The points. A polygon gives the centers of the 10 m pixels of its UTM zone that are inside of it, as one group;
        the pixels of a site are a group, and so are those of a raster.

    Raises:
        ValueError: the labels cannot be read, or there is only one class or value.
        ModuleNotFoundError: a package that this kind of file needs is not installed.
    """
    where = str(path)
    if path.is_dir():
        raw, num_rows = read_dataset_labels(path, column, splits)
    elif path.suffix.lower() in (".tif", ".tiff"):
        raw, num_rows = read_raster_labels(path)
    elif path.suffix.lower() == ".npz":
        raw, num_rows = _read_point_arrays(path, column or DEFAULT_COLUMN)
    else:
        raw, num_rows = _read_feature_labels(path, column or DEFAULT_COLUMN)
    return label_points(where, raw, num_rows, task, ignore)


def _read_point_arrays(path: Path, column: str) -> tuple[RawLabels, int]:
    lon, lat, values = read_arrays(path, ("lon", "lat", column))
    for name, array in (("lon", lon), ("lat", lat), (column, values)):
        require(
            array.shape == (len(lon),) and array.dtype.kind in "iufUb",
            f"{path}: array {name!r} is {array.dtype} of shape {array.shape}, expected a number or text for each of"
            f" {len(lon)} points",
        )
    limits = np.abs(lon.astype(float)) <= 180, np.abs(lat.astype(float)) <= 90
    require(bool(np.logical_and(*limits).all()), f"{path}: lon or lat is out of range, expected degrees")
    rows = np.arange(len(lon))
    return RawLabels(lon.astype(float), lat.astype(float), values.tolist(), rows, rows), len(rows)


def _read_feature_labels(path: Path, column: str) -> tuple[RawLabels, int]:
    lon, lat, values, rows = [], [], [], []
    number = -1
    for number, feature in enumerate(read_features(path, ("Point", "Polygon", "MultiPolygon"), (column,))):
        coordinates = feature.geometry["coordinates"]
        if feature.geometry["type"] == "Point":
            position = np.array(coordinates)[:, None]
        else:
            position = np.concatenate(
                [_pixels_inside(rings, f"{path}, {feature.place}") for rings in coordinates], axis=1
            )
        lon.append(position[0])
        lat.append(position[1])
        values += [feature.properties[column]] * position.shape[1]
        rows += [number] * position.shape[1]
    require(number >= 0, f"{path}: it has no feature, expected points or polygons with labels")
    row = np.array(rows, np.int64)
    return RawLabels(np.concatenate(lon), np.concatenate(lat), values, row, row), number + 1


def _pixels_inside(rings: Rings, where: str) -> np.ndarray:
    """Return longitude and latitude of the 10 m pixels whose centers are inside a polygon: (2, N)."""
    from aef_jax.data.build.sites.utm_grid import tiles_in_polygon

    try:
        tiles = np.array(sorted(tiles_in_polygon(rings, PIXEL_M)), np.int64).reshape(-1, 3)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    parts = [np.zeros((2, 0))]
    for code in np.unique(tiles[:, 0]):
        _, west, north = tiles[tiles[:, 0] == code].T
        parts.append(np.stack(to_degrees(west + PIXEL_M / 2, north - PIXEL_M / 2, f"EPSG:{code}", where)))
    return np.concatenate(parts, axis=1)
