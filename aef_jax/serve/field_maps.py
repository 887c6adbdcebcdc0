"""The fields of a map, one for each period: their tiles as PNG, and what a click tells."""

import io
from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from jaxtyping import Float32, UInt8
from matplotlib.image import imsave

from aef_jax.analysis.colors import SAMPLE, paint_rgba
from aef_jax.analysis.windows import sample_vectors
from aef_jax.console.dates import format_period
from aef_jax.inference.field import Field
from aef_jax.serve.field_map import FieldMap
from aef_jax.visualize.field_colors import principal_axes
from configs.serialization.printable import printable


class Query(NamedTuple):
    """A clicked point."""

    field: int
    """Index of the field that was clicked."""
    lon: float
    """Degrees east."""
    lat: float
    """Degrees north."""


class FieldMaps:
    """Fields of one place, colored alike.

    Args:
        fields: each with a name, in the order of the slider.

    Raises:
        ValueError: there is no field, they differ in the numbers of a vector, or none has data.
    """

    def __init__(self, fields: Sequence[tuple[str, Field]]):
        if not fields:
            raise ValueError("there is no field to show, expected at least one")
        widths = {field.info.embed_dim for _, field in fields}
        if len(widths) > 1:
            raise ValueError(f"the fields have vectors of {sorted(widths)} numbers, expected fields of one width")
        samples = [sample_vectors(field, SAMPLE // len(fields)) for _, field in fields]
        self.sample = np.concatenate(samples)
        self.colors, _ = principal_axes(self.sample)
        self.maps = [FieldMap(field, _title(name, field)) for name, field in fields]

    def describe(self) -> dict[str, Any]:
        """Describe the map for the page.

        Returns:
            JSON values: the names of the periods, and the bounds in degrees: west, south, east, north.
        """
        corners = np.array([each.corners() for each in self.maps])
        bounds = [*corners[:, :2].min(axis=0).tolist(), *corners[:, 2:].max(axis=0).tolist()]
        return {"periods": [each.name for each in self.maps], "bounds": bounds}

    def tile_png(self, field: int, zoom: int, column: int, row: int, query: Query | None) -> bytes:
        """Draw a tile.

        Args:
            field: index of the field.
            zoom: of the tile.
            column: of the tile.
            row: of the tile.
            query: a point, to draw the similarity to it; None for the colors of the field.

        Returns:
            A PNG of 256 x 256 pixels, transparent where there is no data.

        Raises:
            ValueError: the point has no vector.
        """
        vectors = self.maps[field].tile(zoom, column, row)
        if query is None:
            return _png(paint_rgba(vectors, self.colors))
        vector, lowest = self._search(query)
        similarity = (vectors @ vector - lowest) / (1 - lowest)
        painted = matplotlib.colormaps["viridis"](np.nan_to_num(similarity), bytes=True)
        painted[..., 3] = 255 * np.isfinite(similarity)
        return _png(painted)

    def compare(self, query: Query) -> dict[str, Any]:
        """Compare a clicked vector with those at the same place in all periods.

        Args:
            query: the point.

        Returns:
            JSON values: the cosine similarity in each period, None if it has no data there; and the similarity that the
            first color of the tiles stands for. The last color is 1.

        Raises:
            ValueError: the point has no vector.
        """
        vector, lowest = self._search(query)
        values = [float(each.vector(query.lon, query.lat) @ vector) for each in self.maps]
        similarities = [round(value, 4) if np.isfinite(value) else None for value in values]
        return {"similarities": similarities, "lowest": round(lowest, 4)}

    def _search(self, query: Query) -> tuple[Float32[np.ndarray, "D"], float]:
        """Return the clicked vector, and the 2nd percentile of the similarities to it."""
        vector = self.maps[query.field].vector(query.lon, query.lat)
        if not np.isfinite(vector).all():
            raise ValueError(f"the field has no data at lon {query.lon:.5f}, lat {query.lat:.5f}")
        return vector, min(float(np.percentile(self.sample @ vector, 2)), 0.99)


def _title(name: str, field: Field) -> str:
    return format_period(field.info.period) if field.info.period else printable(name)


def _png(pixels: UInt8[np.ndarray, "h w 4"]) -> bytes:
    file = io.BytesIO()
    imsave(file, pixels, format="png")
    return file.getvalue()
