"""Read a table of texts about places: a CSV with the columns lon, lat, start, end and text."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64

from aef_jax.data.place_table import parse_degrees, read_rows
from aef_jax.data.store.site import to_ms

COLUMNS = ("lon", "lat", "start", "end", "text")


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
    """Read a CSV.

    Args:
        path: a file in UTF-8 with dates in ISO 8601. Further columns are ignored.

    Returns:
        The table.

    Raises:
        ValueError: the first mistake, with file and row. Rows are counted as in a spreadsheet: the header is row 1.
    """
    rows = []
    for place, row in read_rows(path, COLUMNS):
        try:
            rows.append(_read_row(row))
        except ValueError as error:
            raise ValueError(f"{path}, {place}: {error}") from None
    if not rows:
        raise ValueError(f"{path}: it has no row below the header")
    lon, lat, start, end, text = zip(*rows, strict=True)
    periods = np.stack([np.array(start, np.int64), np.array(end, np.int64)], axis=-1)
    return TextTable(np.array(lon), np.array(lat), periods, text)


def _read_row(row: dict[str, str]) -> tuple[float, float, int, int, str]:
    """Return the values of a row. Raises ValueError if one is invalid."""
    lon, lat = (parse_degrees(name, row[name]) for name in ("lon", "lat"))
    start, end = (to_ms(row[name]) for name in ("start", "end"))
    if end <= start:
        raise ValueError(f"its end ({row['end']}) is not after its start ({row['start']})")
    if not row["text"]:
        raise ValueError("its text is empty")
    return lon, lat, start, end, row["text"]
