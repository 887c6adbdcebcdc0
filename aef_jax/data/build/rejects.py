"""`rejects.csv`: the list of what a build did not use, with the columns where and reason."""

import csv
from collections.abc import Iterable
from pathlib import Path

from aef_jax.files.atomic import replace_file

REJECTS_NAME = "rejects.csv"
"""Its name in the data set's folder."""
COLUMNS = ("where", "reason")


def write_rejects(folder: Path, rejects: Iterable[tuple[str, ...]]) -> None:
    """Write the list.

    Args:
        folder: where it goes. A list that is there is replaced as a whole.
        rejects: where and reason of each file or site.
    """
    with replace_file(folder / REJECTS_NAME) as temporary, temporary.open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rejects])


def read_rejects(folder: Path) -> list[tuple[str, ...]]:
    """Read the list.

    Args:
        folder: a data set.

    Returns:
        Where and reason of each file or site; none if there is no list.

    Raises:
        ValueError: the file is no such list.
    """
    path = folder / REJECTS_NAME
    if not path.exists():
        return []
    with path.open(newline="") as file:
        rows = [tuple(row) for row in csv.reader(file)]
    if any(len(row) != len(COLUMNS) for row in rows) or rows[:1] != [COLUMNS]:
        raise ValueError(f"{path}: not a list of rejects, expected the columns {' and '.join(COLUMNS)}")
    return rows[1:]
