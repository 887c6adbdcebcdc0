"""Split planned sites into training and validation by blocks of ground, with a distance between the two."""

from collections import defaultdict
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from jaxtyping import Bool, Float64, Int64
from pyproj import Geod
from scipy.spatial import KDTree

from aef_jax.data.build.sites.site_plan import SitePlan
from configs.source import PIXEL_M
from configs.validate import require

MIN_BLOCK_M = 12_800.0
"""Shortest side of a block of ground, all of whose sites get one split."""
_DISTANCES_PER_BLOCK = 10
"""Sides of a block in distances between the splits. Small blocks would have most of their ground near another one."""
_METERS_PER_DEGREE = 111_320.0
"""Of latitude, nearly."""
_ELLIPSOID = Geod(ellps="WGS84")
_MIN_RADIUS_M = 6_335_000.0
"""Below the smallest radius of curvature of the ellipsoid: places are no nearer than this times the angle of their
normals."""


def split_sites(
    plans: Sequence[SitePlan], validation: float, min_distance_m: float, seed: int
) -> tuple[list[SitePlan], list[SitePlan]]:
    """Choose validation sites by blocks of ground, and drop the training sites that are too near to any.

    Sites that have a split keep it. The choice does not depend on the order of the sites.

    Args:
        plans: the sites.
        validation: share for validation of the sites without a split, at least 0 and below 1. If it is above 0, two
            sites give at least one: a block that is too large, such as a cube cut into tiles, is cut in two.
        min_distance_m: meters between a training site and a validation site, from edge to edge; 0 drops none.
        seed: another seed chooses other blocks.

    Returns:
        The sites, each with its split, and the training sites that are dropped; both in the order of `plans`.

    Raises:
        ValueError: the share or the distance is out of range.
    """
    require(0 <= validation < 1, f"the share of validation is {validation}, expected at least 0 and below 1")
    require(0 <= min_distance_m < np.inf, f"the distance of splits is {min_distance_m} m, expected at least 0")
    centers = np.array([plan.center for plan in plans], np.float64).reshape(-1, 2)
    is_validation = np.array([plan.split == "validation" for plan in plans], bool)
    without = np.array([index for index, plan in enumerate(plans) if not plan.split], np.int64)
    names = [plans[index].name for index in without]
    block_m = max(_DISTANCES_PER_BLOCK * min_distance_m, MIN_BLOCK_M)
    is_validation[without] = _choose_validation(centers[without], names, validation, block_m, seed)
    # the farthest that a site's edge can be from its center: the distance of two edges is never overestimated
    radii = np.array([plan.side * PIXEL_M / np.sqrt(2) for plan in plans], np.float64)
    is_dropped = _find_near(centers, radii, is_validation, min_distance_m)
    remaining, dropped = [], []
    for plan, is_chosen, is_near in zip(plans, is_validation, is_dropped, strict=True):
        (dropped if is_near else remaining).append(plan._replace(split="validation" if is_chosen else "training"))
    return remaining, dropped


def _choose_validation(
    centers: Float64[np.ndarray, "N 2"], names: list[str], share: float, block_m: float, seed: int
) -> Bool[np.ndarray, "N"]:
    """Return which sites are for validation: blocks in random order, each if it brings the share nearer."""
    is_chosen = np.zeros(len(centers), bool)
    if share == 0 or len(centers) < 2:
        return is_chosen
    blocks = _shuffled_blocks(centers, block_m, seed)
    target, count = min(max(share * len(centers), 1), len(centers) - 1), 0
    for block in blocks:
        if abs(count + len(block) - target) < abs(count - target):
            is_chosen[block] = True
            count += len(block)
    if 0 < count < len(centers):
        return is_chosen
    # no block or every block was chosen: the largest has sites of both splits
    largest = max(blocks, key=len)
    is_chosen[largest] = False
    in_largest = round(target - np.count_nonzero(is_chosen))
    is_chosen[_sort_by_spread(largest, centers, names)[-in_largest:]] = True
    return is_chosen


def _shuffled_blocks(centers: Float64[np.ndarray, "N 2"], block_m: float, seed: int) -> list[Int64[np.ndarray, "_"]]:
    """Return the sites of each block of ground, in an order that seed and ground decide alone."""
    lon, lat = centers.T
    degrees = block_m / _METERS_PER_DEGREE
    row = np.floor((lat + 90) / degrees).astype(np.int64)
    middle = np.radians((row + 0.5) * degrees - 90)
    columns = np.floor(360 * np.cos(middle) / degrees).clip(1).astype(np.int64)
    column = np.floor((lon + 180) / 360 * columns).astype(np.int64) % columns
    blocks = defaultdict(list)
    for index, block in enumerate(zip(row.tolist(), column.tolist(), strict=True)):
        blocks[block].append(index)
    order = sorted(blocks, key=lambda block: blake2b(f"{seed} {block[0]} {block[1]}".encode()).digest())
    return [np.array(blocks[block], np.int64) for block in order]


def _sort_by_spread(block: Int64[np.ndarray, "n"], centers: Float64[np.ndarray, "N 2"], names: list[str]) -> list[int]:
    """Sort the sites of a block from west to east or from south to north, whichever is longer."""
    east, north = centers[block].T
    ground = np.stack([east * np.cos(np.radians(north.mean())), north], axis=-1)
    along = ground[:, np.ptp(ground, axis=0).argmax()]
    return [index for _, _, index in sorted((x, names[i], i) for x, i in zip(along, block.tolist(), strict=True))]


def _find_near(
    centers: Float64[np.ndarray, "N 2"],
    radii: Float64[np.ndarray, "N"],
    is_validation: Bool[np.ndarray, "N"],
    min_distance_m: float,
) -> Bool[np.ndarray, "N"]:
    """Return which training sites are nearer than a distance to a validation site."""
    is_near = np.zeros(len(centers), bool)
    if min_distance_m == 0 or not is_validation.any():
        return is_near
    validation, training = np.flatnonzero(is_validation), np.flatnonzero(~is_validation)

    def any_near(sites: Int64[np.ndarray, "n"], others: Int64[np.ndarray, "n"]) -> Bool[np.ndarray, "n"]:
        distance = _ELLIPSOID.inv(*centers[sites].T, *centers[others].T)[2]
        return distance - radii[sites] - radii[others] < min_distance_m

    directions = _directions(centers)
    tree = KDTree(directions[validation])
    chord, nearest = tree.query(directions[training])
    is_near[training] = any_near(training, validation[nearest])
    # on the ellipsoid, another site than the nearest on the sphere, or a larger one, may be near
    reach = min_distance_m + radii[training] + radii[validation].max()
    max_chord = 2 * np.sin(np.minimum(reach / _MIN_RADIUS_M, np.pi) / 2)
    for index in np.flatnonzero(~is_near[training] & (chord <= max_chord)):
        site = training[index]
        others = validation[tree.query_ball_point(directions[site], max_chord[index])]
        is_near[site] = any_near(np.full(len(others), site), others).any()
    return is_near


def _directions(centers: Float64[np.ndarray, "N 2"]) -> Float64[np.ndarray, "N 3"]:
    """Return the unit vectors of places in degrees."""
    lon, lat = np.radians(centers).T
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)
