"""Embedding fields as xarray objects."""

from typing import Any

import numpy as np

from configs.fields.tiling import Period


def label_field(field: Any, coordinates: dict[str, Any], period: Period | None, support: Period | None) -> Any:
    """Give a field coordinates, names of bands and periods.

    Args:
        field: unit vectors (H, W, D), in an array or in what xarray wraps as one.
        coordinates: y and x, and `spatial_ref` if there is one, as xarray.DataArray takes them.
        period: the valid period, in epoch milliseconds; None if it is not known.
        support: the support period, in the same way.

    Returns:
        An xarray.DataArray with dimensions y, x and embedding; bands are called A00, A01, ... as in the release.
    """
    import xarray

    names = [f"A{axis:02d}" for axis in range(field.shape[-1])]
    attributes = {
        f"{name}_{end}": str(np.datetime64(ms, "ms"))
        for name, ends in (("period", period), ("support", support))
        for end, ms in zip(("start", "end"), ends or (), strict=False)
    }
    return xarray.DataArray(
        field, {**coordinates, "embedding": names}, ("y", "x", "embedding"), name="embedding_field", attrs=attributes
    )
