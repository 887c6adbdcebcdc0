"""Read a table of texts about places: a CSV with the columns lon, lat, start, end and text."""

import csv
import io
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64

from aef_jax.data.store.site import to_ms
from configs.serialization.read_file import read_bytes

COLUMNS = ("lon", "lat", "start", "end", "text")
BOUNDS = {"lon": 180, "lat": 90}
"""Largest absolute value, in degrees."""
MAX_TABLE_BYTES = 2**30
"""Most bytes of a table, which is read as a whole: some ten million texts."""


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
    data = read_bytes(path, MAX_TABLE_BYTES)
    try:
        content = data.decode("utf-8-sig")  # spreadsheets write a byte order mark
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{path}, line {line}: not UTF-8 ({error.reason}): save the table as CSV in UTF-8") from None
    reader = csv.DictReader(io.StringIO(content, newline=""), strict=True)
    rows, number = [], 1
    try:
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(f"there is no column {missing[0]!r}, expected {', '.join(COLUMNS)}")
        for number, row in enumerate(reader, start=2):  # noqa: B007 (the message names it)
            rows.append(_read_row(row, len(reader.fieldnames or ())))
    except csv.Error as error:
        raise ValueError(f"{path}, row {number + 1}: not CSV ({error})") from None
    except ValueError as error:
        raise ValueError(f"{path}, row {number}: {error}") from None
    if not rows:
        raise ValueError(f"{path}: it has no row below the header")
    lon, lat, start, end, text = zip(*rows, strict=True)
    periods = np.stack([np.array(start, np.int64), np.array(end, np.int64)], axis=-1)
    return TextTable(np.array(lon), np.array(lat), periods, text)


def _read_row(row: dict, columns: int) -> tuple[float, float, int, int, str]:
    """Return the values of a row. Raises ValueError if one is missing or invalid."""
    if None in row or None in row.values():
        count = sum(value is not None for key, value in row.items() if key is not None) + len(row.get(None, ()))
        raise ValueError(f"{count} values, expected {columns}: put a text with a comma or a line break in quotes")
    lon, lat = (_degrees(name, row[name]) for name in BOUNDS)
    start, end = (to_ms(row[name].strip()) for name in ("start", "end"))
    if end <= start:
        raise ValueError(f"its end ({row['end'].strip()}) is not after its start ({row['start'].strip()})")
    text = row["text"].strip()
    if not text:
        raise ValueError("its text is empty")
    return lon, lat, start, end, text


def _degrees(name: str, value: str) -> float:
    bound = BOUNDS[name]
    try:
        degrees = float(value)
    except ValueError:
        degrees = math.nan
    if not -bound <= degrees <= bound:
        raise ValueError(f"{name} is {value!r}, expected degrees from -{bound} to {bound}")
    return degrees
