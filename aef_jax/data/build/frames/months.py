"""Make monthly maps of daily or hourly ones, as ERA5-Land's monthly aggregates are (paper, S1)."""

from calendar import monthrange
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32

from aef_jax.data.build.frames.passes import Product
from aef_jax.data.build.frames.products import read_bands
from aef_jax.data.build.readers.grid import Grid
from configs.source import Source

_STATISTICS: Mapping[str, Callable[..., Any]] = {"sum": np.sum, "mean": np.mean, "min": np.min, "max": np.max}
"""By the last word of a band's name. ERA5's precipitation must be that of each step: its own files accumulate it from
midnight on."""


def read_month(source: Source, products: Sequence[Product], grid: Grid) -> Float32[np.ndarray, "H W C"]:
    """Read one month.

    Args:
        source: its bands end with _sum, _mean, _min or _max.
        products: of the month, one per step, or several with other bands each.
        grid: of the site.

    Returns:
        Statistics of the steps, in the units of the source. A band is NaN unless every day of the month has it, and
        has as many steps as the others; a pixel is NaN if a step lacks it.

    Raises:
        ValueError: a file is damaged, or its values cannot be in the unit that the config says.
    """
    steps: dict[int, dict[int, Float32[np.ndarray, "H W"]]] = {}
    for product in products:
        for channel, values in read_bands(product, grid, None).items():
            steps.setdefault(channel, {}).setdefault(product.acquisition.time_ms, values)
    year, month = map(int, str(np.datetime64(products[0].acquisition.time_ms, "ms").astype("datetime64[M]")).split("-"))
    pixels = np.full((grid.side, grid.side, source.channels), np.nan, np.float32)
    for channel, by_time in steps.items():
        days, steps_of_day = np.unique(
            np.array(list(by_time), "datetime64[ms]").astype("datetime64[D]"), return_counts=True
        )
        if len(days) == monthrange(year, month)[1] and steps_of_day.min() == steps_of_day.max():
            statistic = _STATISTICS[source.bands[channel].name.rpartition("_")[2]]
            pixels[..., channel] = statistic(np.stack(list(by_time.values())).astype(np.float64), axis=0)
    return pixels
