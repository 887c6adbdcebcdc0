"""Read tables of places: a CSV with longitude and latitude."""

import csv
import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from configs.serialization.printable import printable_value
from configs.serialization.read_file import read_bytes

MAX_TABLE_BYTES = 2**30
"""Most bytes of a table, which is read as a whole: some ten million rows."""
MAX_DEGREES = {"lon": 180, "lat": 90}
"""Largest absolute value, in degrees."""


def read_rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Read the rows of a CSV in UTF-8.

    Args:
        path: the file.
        columns: those that it must have. It may have others.

    Yields:
        The place of each row for messages, counted as in a spreadsheet (the header is row 1), and its values by column,
        without spaces around them.

    Raises:
        ValueError: the first mistake, with file and row.
    """
    data = read_bytes(path, MAX_TABLE_BYTES)
    try:
        content = data.decode("utf-8-sig")  # spreadsheets write a byte order mark
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{path}, line {line}: not UTF-8 ({error.reason}): save the table as CSV in UTF-8") from None
    reader, number = csv.DictReader(io.StringIO(content, newline=""), strict=True), 1
    try:
        missing = [name for name in columns if name not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(f"{path}, row 1: there is no column {missing[0]!r}, expected {', '.join(columns)}")
        width = len(reader.fieldnames or ())
        for number, row in enumerate(reader, start=2):
            if None in row or None in row.values():
                count = sum(value is not None for key, value in row.items() if key is not None) + len(row.get(None, ()))
                raise ValueError(
                    f"{path}, row {number}: {count} values, expected {width}: put a text with a comma or a line break"
                    " in quotes"
                )
            yield f"row {number}", {name: value.strip() for name, value in row.items()}
    except csv.Error as error:
        raise ValueError(f"{path}, row {number + 1}: not CSV ({error})") from None


def parse_degrees(name: str, value: Any) -> float:
    """Convert a coordinate to float.

    Args:
        name: lon or lat.
        value: a number, or its text.

    Returns:
        Degrees.

    Raises:
        ValueError: it is no number, or out of range.
    """
    bound = MAX_DEGREES[name]
    try:
        degrees = float(value)
    except (TypeError, ValueError):
        degrees = math.nan
    if not -bound <= degrees <= bound:
        raise ValueError(f"{name} is {printable_value(value)}, expected degrees from -{bound} to {bound}")
    return degrees
