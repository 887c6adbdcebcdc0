"""Older versions of `dataset.json`, read as the current one. Their names are used nowhere else."""

from dataclasses import asdict
from typing import Any

from configs.sources import SOURCES

VERSION = 4
"""Version that is written."""
READABLE_VERSIONS = (1, 2, 3, 4)

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
        KeyError: the table is of an older version and has no splits or sources.
        AttributeError, TypeError: likewise, if they are not objects.
    """
    if table["version"] == VERSION:
        return table
    table = table if table["version"] == 3 else _upgrade_to_3(table)
    unlisted = {"names": [], "weights": []}
    splits = {split: [shard | unlisted for shard in shards] for split, shards in table["splits"].items()}
    sources = {name: row | {"level": ""} for name, row in table["sources"].items()}
    return table | {"splits": splits, "sources": sources, "labels": None, "moments": None, "version": VERSION}


def _upgrade_to_3(table: dict[str, Any]) -> dict[str, Any]:
    splits = {_SPLITS.get(name, name): shards for name, shards in table["splits"].items()}
    table = {_TABLES.get(name, name): value for name, value in table.items()}
    bands = {name: row["bands"] for name, row in table["sources"].items()}
    definitions = [asdict(s) for s in SOURCES if bands.get(s.name) == [band.name for band in s.bands]]
    uncounted = {"values": [], "out_of_range": []}
    sources = {name: uncounted | row for name, row in table["sources"].items()}
    changed = {"splits": splits, "sources": sources, "definitions": definitions, "smallest": None}
    return table | changed
