"""A table that says of files what they do not say themselves: their time, and of chips their place."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path, PurePosixPath

from aef_jax.data.places.csv_rows import read_rows
from configs.serialization.printable import printable_value


def row_of_file(table: str, path: str) -> Mapping[str, str]:
    """Look up the row of a file.

    Args:
        table: a CSV in UTF-8 with the column `file`: the file's name, or the last parts of its path.
        path: of the file.

    Returns:
        Its row.

    Raises:
        ValueError: the table is no such CSV, or has no row of the file, or several.
    """
    rows = _read(table)
    parts = PurePosixPath(path).parts
    for count in range(len(parts), 0, -1):
        if own := rows.get("/".join(parts[-count:])):
            if len(own) > 1:
                raise ValueError(f"{table}: {len(own)} rows are of {printable_value(parts[-1])}, expected one")
            return own[0]
    raise ValueError(f"{table} has no row whose `file` is {printable_value(parts[-1])}, expected one of each file")


@cache
def _read(table: str) -> Mapping[str, list[Mapping[str, str]]]:
    """Read a table once, by the names of its files."""
    rows: dict[str, list[Mapping[str, str]]] = {}
    for _, row in read_rows(Path(table), ("file",)):
        rows.setdefault(str(PurePosixPath(row["file"])), []).append(row)
    return rows
