"""Embedding fields of stored sites."""

import numpy as np
from jaxtyping import Float32

from aef_jax.console.dates import format_period
from aef_jax.data.store.site import Site
from configs.config import Config
from configs.fields.tiling import Embed, FrameStack, Period, default_support, embed_area


def embed_site(
    embed: Embed, site: Site, config: Config, period: Period, *, support: Period | None = None, batch: int = 4
) -> Float32[np.ndarray, "H W D"]:
    """Compute the embedding field of a scaled, z-scored site over a valid period; see `embed_area`.

    Args:
        embed: the model, in any framework.
        site: what `Normalization.apply` returned.
        config: of the model.
        period: the valid period.
        support: the period whose frames are used; by default `default_support`.
        batch: tiles that are computed at once.

    Returns:
        Unit vectors; NaN at a pixel that no frame of any source shows.

    Raises:
        ValueError: as `embed_area`; the message names the site.
    """
    names = [source.name for source in config.input_sources if source.name in site.series]
    stacks = {name: FrameStack(site.series[name].pixels, site.series[name].time_ms) for name in names}
    try:
        return embed_area(embed, stacks, config, period, support or default_support(period, config), batch=batch)
    except ValueError as error:
        raise ValueError(f"site {site.name}: {error}") from None


def choose_support(site: Site, config: Config, period: Period) -> Period:
    """Choose the support period of a valid period at a site.

    Args:
        site: the site.
        config: of the model.
        period: the valid period.

    Returns:
        The site's own support period; `default_support` if it has none.

    Raises:
        ValueError: the site's own does not meet the valid period.
    """
    if not site.support:
        return default_support(period, config)
    if period[1] <= site.support[0] or period[0] >= site.support[1]:
        raise ValueError(
            f"site {site.name}: its support period {format_period(site.support, '..')} does not meet the valid period"
            f" {format_period(period, '..')}: to extrapolate, give the support period too"
        )
    return site.support
