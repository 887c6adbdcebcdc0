"""Fields of stored sites, into files."""

import json
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from tqdm import tqdm

from aef_jax.data.store.site import Site
from aef_jax.files.resumable import Part, begin_work, end_work
from aef_jax.inference.field import FieldInfo
from aef_jax.inference.request import Request
from aef_jax.inference.site import SitePeriods, choose_supports, embed_sites
from aef_jax.inference.target import Target
from configs.fields.periods import Period

ReadSite = Callable[[], Site | None]
"""Reads a site; None if it has no field."""


def embed_records(request: Request, sites: Sequence[ReadSite], data: str, part: Part | None = None) -> list[Path]:
    """Write the fields of sites. Where a command was stopped, the same one leaves out what is written.

    Args:
        request: what to compute.
        sites: readers of the sites, whose names are unique.
        data: names the data set; the same when work goes on.
        part: which share of the sites; None for all.

    Returns:
        The files that were written.

    Raises:
        ValueError: no site has a field, one has no frame in its support period, or the target does not take the fields.
    """
    weights, target = request.weights, request.target
    target.require(len(sites), len(request.periods))
    folder = target.path.with_name(f"{target.path.name}.embedding")
    plan = json.dumps([weights.name, list(request.periods), request.support, data])
    goes_on = begin_work(folder, plan, "another model, data set or periods")

    def read(read_site: ReadSite) -> list[SitePeriods]:
        site = read_site()
        if site is None or (goes_on and all(path.exists() for path in target.paths(site.name, request.periods))):
            return []
        given = request.support and {request.support: request.periods}
        supports = given or choose_supports(site, weights.embedder.config, request.periods)
        return [SitePeriods(site, periods, support) for support, periods in supports.items()]

    share = [sites[index] for index in part.share(len(sites))] if part else sites
    bar = tqdm(share, "embedding", unit="site", disable=None)
    written = []
    embedded = embed_sites(weights.embedder, read, bar, weights.batch)
    for _, results in groupby(embedded, key=lambda result: result[0].site.name):
        fields = {
            period: (site_periods, vectors)
            for site_periods, of_support in results
            for period, vectors in zip(site_periods.periods, of_support, strict=True)
        }
        written += write_site(target, weights.name, [(period, *fields[period]) for period in request.periods])
    if not part:
        end_work(folder)
    if not (written or goes_on or part):
        raise ValueError(f"{data}: none of its sites is in the area, expected at least one")
    return written


def write_site(
    target: Target, model: str, fields: Sequence[tuple[Period, SitePeriods, Float32[np.ndarray, "H W D"]]]
) -> list[Path]:
    """Write the fields of one site.

    Args:
        target: where to.
        model: what the weights are.
        fields: the valid period of each, the site with its support period, and unit vectors.

    Returns:
        The files.
    """
    site = fields[0][1].site
    infos = [
        FieldInfo(
            site.crs, site.transform, site.shape, field.shape[-1], period, of_site.support, f"{model}, site {site.name}"
        )
        for period, of_site, field in fields
    ]
    height, width = site.shape
    with target.open(site.name, infos) as writers:
        for writer, (_, _, field) in zip(writers, fields, strict=True):
            writer.write(slice(0, height), slice(0, width), field)
    return target.paths(site.name, [period for period, _, _ in fields])
