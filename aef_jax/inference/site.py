"""Embedding fields of stored sites."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import jax
import numpy as np
from jaxtyping import Float32

from aef_jax.console.dates import format_period
from aef_jax.data.store.site import Series, Site
from aef_jax.inference.read_ahead import read_ahead
from configs.config import Config
from configs.fields.embedder import Embedder
from configs.fields.periods import Period, group_by_support
from configs.fields.stacks import FrameStack, require_frames
from configs.fields.statistics import BandStatistics
from configs.fields.tiling import Area, embed_area, embed_areas
from configs.source import Source

TILES_PER_DEVICE = 4
"""Tiles that a device computes at once (ours)."""
SITES_AHEAD = 2
"""Sites that are read ahead."""
Item = TypeVar("Item")


class SitePeriods(NamedTuple):
    """A site, and the valid periods of its fields that share a support period."""

    site: Site
    """As stored."""
    periods: Sequence[Period]
    support: Period


def embed_site(
    embedder: Embedder, site: Site, period: Period, support: Period | None = None
) -> Float32[np.ndarray, "H W D"]:
    """Compute the embedding field of a stored site over a valid period.

    Args:
        embedder: the model and its statistics.
        site: as stored.
        period: the valid period.
        support: the period whose frames are used; by default that of `choose_supports`.

    Returns:
        Unit vectors; NaN at a pixel that no frame of any source shows.

    Raises:
        ValueError: as `embed_area`; the message names the site.
    """
    if support is None:
        (support,) = choose_supports(site, embedder.config, [period])
    (field,) = embed_area(embedder.model, _area(embedder, SitePeriods(site, [period], support)), embedder.config)
    return field


def embed_sites(
    embedder: Embedder, read: Callable[[Item], Sequence[SitePeriods]], items: Iterable[Item], batch: int
) -> Iterator[tuple[SitePeriods, Float32[np.ndarray, "P H W D"]]]:
    """Compute the embedding fields of many stored sites. The next ones are read while the model computes.

    Args:
        embedder: the model and its statistics.
        read: reads a site, in a thread; once for each support period, and not at all if it has no field.
        items: what `read` takes.
        batch: tiles that are computed at once, perhaps of several sites.

    Yields:
        Each site with its fields, in order: unit vectors; NaN at a pixel that no frame of any source shows.

    Raises:
        ValueError: as `embed_area`; the message names the site.
    """
    order: deque[SitePeriods] = deque()

    def read_areas(item: Item) -> list[tuple[SitePeriods, Area]]:
        return [(site, _area(embedder, site)) for site in read(item)]

    def areas() -> Iterator[Area]:
        for _, results in read_ahead(lambda item: reader.submit(read_areas, item), items, SITES_AHEAD):
            for site, area in results:
                order.append(site)
                yield area

    with ThreadPoolExecutor(1) as reader:
        for fields in embed_areas(embedder.model, areas(), embedder.config, batch):
            yield order.popleft(), fields


def default_batch() -> int:
    """Return how many tiles to compute at once on the devices of this host.

    Returns:
        `TILES_PER_DEVICE` for each.
    """
    return TILES_PER_DEVICE * jax.local_device_count()


def choose_supports(site: Site, config: Config, periods: Sequence[Period]) -> dict[Period, list[Period]]:
    """Choose the support periods of valid periods at a site.

    Args:
        site: the site.
        config: of the model.
        periods: the valid periods.

    Returns:
        Valid periods by support period: the site's own one; as `group_by_support` if it has none.

    Raises:
        ValueError: the site's own one does not meet a valid period.
    """
    if not site.support:
        return group_by_support(periods, config)
    for period in periods:
        if period[1] <= site.support[0] or period[0] >= site.support[1]:
            raise ValueError(
                f"site {site.name}: its support period {format_period(site.support, '..')} does not meet the valid"
                f" period {format_period(period, '..')}: to extrapolate, give the support period too"
            )
    return {site.support: list(periods)}


def _area(embedder: Embedder, of_site: SitePeriods) -> Area:
    """Scale and z-score the frames of the support period, and no others."""
    site, periods, support = of_site
    sources = [s for s in embedder.statistics.known(embedder.config.input_sources) if s.name in site.series]
    where = f"site {site.name}"
    try:
        require_frames({source.name: site.series[source.name].time_ms for source in sources}, support)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    cut = site.between(*support).series
    stacks = {source.name: to_stack(embedder.statistics, source, cut[source.name]) for source in sources}
    return Area(stacks, periods, support, where)


def to_stack(statistics: BandStatistics, source: Source, series: Series) -> FrameStack:
    """Scale and z-score the frames of a source.

    Args:
        statistics: of the model's training data.
        source: an input source.
        series: frames as stored.

    Returns:
        The frames as models take them.
    """
    return FrameStack(statistics.z_score_pixels(series.pixels, source, series.no_data)[0], series.time_ms)
