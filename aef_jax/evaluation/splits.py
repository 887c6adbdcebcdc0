"""Divide samples into parts, each of which is the test set once: at random, by groups or by blocks of ground."""

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.spatial import KDTree

from aef_jax.evaluation.labels.labeled_points import LabeledPoints
from configs.serialization.printable import printable
from configs.validate import require

EARTH_RADIUS_M = 6_371_008.8
"""Mean radius of the Earth."""
Split = tuple[Int64[np.ndarray, "N"], Int64[np.ndarray, "M"]]
"""Indices of the training samples and of the test samples."""


def make_splits(
    points: LabeledPoints, num_splits: int, seed: int, block_m: float = 0, buffer_m: float = 0
) -> list[Split]:
    """Divide points into parts of about the same size and, as far as groups allow, the same shares of classes.

    Args:
        points: the points.
        num_splits: parts. Each is the test set once; all others are then the training set.
        seed: of the division.
        block_m: side of square blocks in meters, which are groups then; 0: the points' own groups.
        buffer_m: training points nearer than this to a test point are left out, in meters.

    Returns:
        The splits.

    Raises:
        ValueError: there are fewer groups, or samples of a class, than parts, or the buffer leaves no training point.
    """
    group = block_groups(points.lon, points.lat, block_m) if block_m else points.group
    _require_enough(points, group, num_splits, block_m)
    splits = []
    for training, test in _parts(points, group, num_splits, seed):
        if buffer_m:
            training = training[~_is_near(points, training, test, buffer_m)]
        require(
            len(training) > 0,
            f"{points.where}: all training points are nearer than the buffer of {buffer_m:g} m to a test point",
        )
        splits.append((training, test))
    return splits


def block_groups(
    lon: Float64[np.ndarray, "N"], lat: Float64[np.ndarray, "N"], block_m: float
) -> Int64[np.ndarray, "N"]:
    """Find the blocks of ground that points lie in.

    Blocks are laid out in rows of parallels from the southernmost and westernmost point, on a sphere; in each row
    their width in degrees is that of `block_m` in its middle.

    Args:
        lon: degrees.
        lat: degrees.
        block_m: side of a block in meters.

    Returns:
        The number of each point's block, from 0.
    """
    degrees = np.degrees(block_m / EARTH_RADIUS_M)
    row = np.floor((lat - lat.min()) / degrees)
    middle = np.radians(np.clip(lat.min() + (row + 0.5) * degrees, -89.99, 89.99))
    column = np.floor((lon - lon.min()) * np.cos(middle) / degrees)
    return np.unique(np.stack([row, column], axis=-1), axis=0, return_inverse=True)[1].ravel()


def unit_sphere(lon: Float64[np.ndarray, "N"], lat: Float64[np.ndarray, "N"]) -> Float64[np.ndarray, "N 3"]:
    """Convert degrees to positions on the unit sphere, which have no seam and no poles.

    Args:
        lon: degrees.
        lat: degrees.

    Returns:
        x, y and z.
    """
    lon, lat = np.radians(lon), np.radians(lat)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)


def _parts(points: LabeledPoints, group: np.ndarray, num_splits: int, seed: int) -> list[Split]:
    from sklearn.model_selection import KFold, StratifiedGroupKFold, StratifiedKFold

    groups, inverse = np.unique(group, return_inverse=True)
    options = {"n_splits": num_splits, "shuffle": True, "random_state": seed}
    if points.classes and len(groups) == len(group):
        return list(StratifiedKFold(**options).split(group, points.target))
    if points.classes:
        return list(StratifiedGroupKFold(**options).split(group, points.target, inverse))
    parts = KFold(**options).split(groups)
    return [(np.flatnonzero(np.isin(inverse, a)), np.flatnonzero(np.isin(inverse, b))) for a, b in parts]


def _require_enough(points: LabeledPoints, group: np.ndarray, num_splits: int, block_m: float) -> None:
    num_groups = len(np.unique(group))
    if num_groups < num_splits:
        advice = "smaller --blocks" if block_m else "--blocks METERS, or more sites or polygons"
        raise ValueError(
            f"{points.where}: its points lie in {num_groups} group{'s' * (num_groups != 1)} that must stay together,"
            f" expected at least the {num_splits} of --parts: give {advice}"
        )
    if not points.classes:
        return
    counts = np.bincount(points.target, minlength=len(points.classes))
    name = printable(points.classes[int(counts.argmin())])
    require(
        bool(counts.min() >= num_splits),
        f"{points.where}: class {name} has {counts.min()} usable samples, fewer than the {num_splits} of --parts;"
        f" --ignore {name} leaves it out",
    )


def _is_near(points: LabeledPoints, training: np.ndarray, test: np.ndarray, meters: float) -> Bool[np.ndarray, "N"]:
    xyz = unit_sphere(points.lon, points.lat)
    distance, _ = KDTree(xyz[test]).query(xyz[training])
    return 2 * np.arcsin(np.clip(distance / 2, 0, 1)) * EARTH_RADIUS_M < meters
