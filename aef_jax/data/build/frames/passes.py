"""Group the products of a source into what becomes one frame: the pass of a satellite, or a month."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from aef_jax.data.build.catalogs.acquisition import Acquisition
from aef_jax.data.build.entry import Entry

PASS_MS = 5 * 60_000
"""Acquisitions within five minutes are of one pass: neighboring scenes of Landsat are 24 s apart, a satellite's next
orbit 90 minutes. Those of one datatake show one place within a minute."""


class Product(NamedTuple):
    """An acquisition, and the entry that names its file."""

    entry: Entry
    acquisition: Acquisition


class Pass(NamedTuple):
    """What becomes one frame."""

    time_ms: int
    """Of the first acquisition, in epoch milliseconds."""
    products: list[Product]


def group_passes(products: Sequence[Product]) -> list[Pass]:
    """Group the products of a source at a site by pass.

    Args:
        products: in any order.

    Returns:
        The passes, in the order of time; their products with those processed last first, then those with finer pixels.
    """
    passes: list[Pass] = []
    for product in sorted(products, key=lambda each: each.acquisition.time_ms):
        time_ms = product.acquisition.time_ms
        if not passes or time_ms >= passes[-1].time_ms + PASS_MS:
            passes.append(Pass(time_ms, []))
        passes[-1].products.append(product)
    for each in passes:
        each.products.sort(key=lambda product: _pixel(product.acquisition))
        each.products.sort(key=lambda product: product.acquisition.product, reverse=True)
    return passes


def group_months(products: Sequence[Product]) -> list[Pass]:
    """Group daily or hourly maps by month.

    Args:
        products: in any order.

    Returns:
        The months, in the order of time, at their first instant in UTC; their products in the order of time.
    """
    months: dict[np.datetime64, list[Product]] = {}
    for product in sorted(products, key=lambda each: each.acquisition.time_ms):
        month = np.datetime64(product.acquisition.time_ms, "ms").astype("datetime64[M]")
        months.setdefault(month, []).append(product)
    return [Pass(int(month.astype("datetime64[ms]").astype(np.int64)), of_month) for month, of_month in months.items()]


def _pixel(acquisition: Acquisition) -> tuple[float, str]:
    return acquisition.pixel, next(iter(acquisition.rasters.values())).where
