"""Sample fields of sites at labeled points."""

from collections.abc import Callable, Iterable

import numpy as np
from jaxtyping import Float32

from aef_jax.data.store.site import Site
from aef_jax.evaluation.labels.georeference import Positions, to_crs, to_pixels
from aef_jax.evaluation.labels.labeled_points import LabeledPoints
from configs.serialization.printable import printable


def sample_sites(
    sites: Iterable[Site], where: str, points: LabeledPoints, of_site: Callable[[Site], Float32[np.ndarray, "H W F"]]
) -> Float32[np.ndarray, "N F"]:
    """Compute a field of each site that holds points, and sample it there.

    Args:
        sites: as stored.
        where: names them, for messages.
        points: the points.
        of_site: computes the field of a site.

    Returns:
        Features of each point, those of the first site that it lies in; NaN where none lies.

    Raises:
        ValueError: no point lies in a site.
    """
    features, positions = None, {}
    is_open = np.ones(len(points.target), bool)
    for site in sites:
        if site.crs not in positions:
            positions[site.crs] = to_crs(points.lon, points.lat, site.crs, f"{where}, site {printable(site.name)}")
        index, row, column = points_inside(site, positions[site.crs])
        index, row, column = (of[is_open[index]] for of in (index, row, column))
        if not len(index):
            continue
        values = of_site(site)[row, column]
        if features is None:
            features = np.full((len(is_open), values.shape[1]), np.nan, np.float32)
        features[index], is_open[index] = values, False
    if features is None:
        raise ValueError(f"{points.where}: none of its {len(is_open):,} points lies in a site of {where}")
    return features


def points_inside(site: Site, positions: Positions) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the points that lie in a site.

    Args:
        site: the site.
        positions: x and y of all points in the site's crs.

    Returns:
        Indices of the points inside, and their rows and columns.
    """
    row, column = to_pixels(*positions, site.transform)
    index = np.flatnonzero((row >= 0) & (row < site.shape[0]) & (column >= 0) & (column < site.shape[1]))
    return index, row[index], column[index]
