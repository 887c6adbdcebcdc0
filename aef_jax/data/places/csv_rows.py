"""Read the rows of a CSV."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from configs.serialization.read_file import open_regular

MAX_CSV_BYTES = 2**30
"""Most bytes of a CSV: some ten million rows."""


def read_rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Read the rows of a CSV in UTF-8, one by one.

    Args:
        path: the file.
        columns: those that it must have. It may have others.

    Yields:
        The place of each row for messages, counted as in a spreadsheet (the header is row 1), and its values by column,
        without spaces around them.

    Raises:
        ValueError: the first mistake, with file and row.
    """
    with open_regular(path, MAX_CSV_BYTES) as file:
        # spreadsheets write a byte order mark
        reader, number = csv.DictReader(io.TextIOWrapper(file, "utf-8-sig", newline=""), strict=True), 1
        try:
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
            if missing:
                raise ValueError(f"{path}, row 1: there is no column {missing[0]!r}, expected {', '.join(columns)}")
            for number, row in enumerate(reader, start=2):
                _require_whole(path, number, row)
                yield f"row {number}", {name: value.strip() for name, value in row.items()}
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{path}, line {_undecodable_line(file)}: not UTF-8 ({error.reason}): save the table as CSV in UTF-8"
            ) from None
        except csv.Error as error:
            raise ValueError(f"{path}, row {number + 1}: not CSV ({error})") from None


def _require_whole(path: Path, number: int, row: dict[str | None, Any]) -> None:
    """Require that a row has as many values as the header."""
    if None in row or None in row.values():
        expected = sum(name is not None for name in row)
        count = sum(row[name] is not None for name in row if name is not None) + len(row.get(None, ()))
        raise ValueError(
            f"{path}, row {number}: {count} values, expected {expected}: put a text with a comma or a line break in"
            " quotes"
        )


def _undecodable_line(file: BinaryIO) -> int:
    file.seek(0)
    for number, line in enumerate(file, start=1):
        try:
            line.decode()
        except UnicodeDecodeError:
            return number
    raise AssertionError("only called for a file that is not UTF-8")
