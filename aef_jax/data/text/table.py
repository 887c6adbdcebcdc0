"""Read a table of texts about places: points with the columns start, end and text."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64

from aef_jax.data.places.features import Feature, parse_period, read_features
from configs.serialization.printable import printable_value
from configs.validate import require

COLUMNS = ("start", "end", "text")


@dataclass(frozen=True)
class TextTable:
    """N texts, each true at a point over a period."""

    lon: Float64[np.ndarray, "N"]
    """Degrees east, WGS 84."""
    lat: Float64[np.ndarray, "N"]
    """Degrees north, WGS 84."""
    period_ms: Int64[np.ndarray, "N 2"]
    """[start, end) of each, in epoch milliseconds."""
    text: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.text)


def read_table(path: Path) -> TextTable:
    """Read a table.

    Args:
        path: CSV, GeoJSON, Parquet or GeoParquet; see `read_features`. Further columns are ignored.

    Returns:
        The table.

    Raises:
        ValueError: the first mistake, with file and place.
    """
    rows = []
    for feature in read_features(path, ("Point",), COLUMNS):
        try:
            rows.append(_read_row(feature))
        except ValueError as error:
            raise ValueError(f"{path}, {feature.place}: {error}") from None
    require(bool(rows), f"{path}: it has no text, expected at least one")
    lon, lat, start, end, text = zip(*rows, strict=True)
    periods = np.stack([np.array(start, np.int64), np.array(end, np.int64)], axis=-1)
    return TextTable(np.array(lon), np.array(lat), periods, text)


def _read_row(feature: Feature) -> tuple[float, float, int, int, str]:
    """Return longitude, latitude, period and text. Raises ValueError if one is invalid."""
    start, end, text = (feature.properties[name] for name in COLUMNS)
    period = parse_period(start, end)
    require(isinstance(text, str | None), f"its text is {printable_value(text)}, expected a sentence")
    require(bool(text and text.strip()), "its text is empty")
    return *feature.geometry["coordinates"], *period, text.strip()
