"""An embedding field as an xarray object."""

from typing import Any

import numpy as np

from aef_jax.inference.coordinates import grid_coordinates
from aef_jax.inference.extras import needs_extra
from aef_jax.inference.field import Field
from configs.fields.label import label_field


def to_xarray(field: Field) -> Any:
    """Wrap a field as an xarray.DataArray that reads what is asked for, when it is computed or plotted.

    Args:
        field: to read from.

    Returns:
        Of dimensions y, x and embedding, with the coordinates of cell centers, the names of the bands, and the
        coordinate reference system as rioxarray finds it. Unit vectors in float32; NaN is no data.

    Raises:
        ModuleNotFoundError: xarray or pyproj is not installed.
    """
    with needs_extra("xarray objects", "fields"):
        import pyproj  # noqa: F401
        from xarray.backends import BackendArray
        from xarray.core import indexing

    class FieldArray(BackendArray):
        shape = (*field.info.shape, field.info.embed_dim)
        dtype = np.dtype(np.float32)

        def __getitem__(self, key: indexing.ExplicitIndexer) -> np.ndarray:
            basic = indexing.IndexingSupport.BASIC
            return indexing.explicit_indexing_adapter(key, self.shape, basic, self._read)

        def _read(self, key: tuple[int | slice, ...]) -> np.ndarray:
            """Read the window that spans the indices, and take them from it: a slice may have a step."""
            indices = [np.arange(length)[part] for length, part in zip(self.shape, key, strict=True)]
            if not all(part.size for part in indices):
                return np.empty([part.size for part in indices if part.ndim], np.float32)
            spans = [slice(int(part.min()), int(part.max()) + 1) for part in indices[:2]]
            window = field.read(*spans)
            inner = [part - (span.start if span else 0) for part, span in zip(indices, [*spans, None], strict=True)]
            flat = window[np.ix_(*map(np.atleast_1d, inner))]
            return flat.reshape([part.size for part in indices if part.ndim])

    coordinates = grid_coordinates(field.info)
    return label_field(indexing.LazilyIndexedArray(FieldArray()), coordinates, field.info.period, field.info.support)
