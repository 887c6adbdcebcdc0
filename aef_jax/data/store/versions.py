"""Older versions of `dataset.json`, read as the current one. Their names are used nowhere else."""

from typing import Any

VERSION = 2
"""Version that is written."""
READABLE_VERSIONS = (1, 2)

_TABLES = {"normalisation": "normalization"}
"""Tables that version 2 renamed."""
_SPLITS = {"heldout": "validation"}
"""Splits that version 2 renamed. The shards of version 1 keep their file names, which `dataset.json` gives."""


def upgrade(table: dict[str, Any]) -> dict[str, Any]:
    """Return the content of `dataset.json` under the names of the current version.

    Args:
        table: content of `dataset.json`, of any of `READABLE_VERSIONS`.

    Returns:
        A table of version `VERSION`; `table` itself if it is one.

    Raises:
        KeyError: the table is of version 1 and has no splits.
        AttributeError: likewise, if its splits are not an object.
    """
    if table["version"] == VERSION:
        return table
    splits = {_SPLITS.get(name, name): shards for name, shards in table["splits"].items()}
    return {_TABLES.get(name, name): value for name, value in table.items()} | {"splits": splits, "version": VERSION}
