"""JSON whose objects name nothing twice: readers differ in which of the two they take."""

import json
from pathlib import Path
from typing import Any

from parity.mapping.spec import printable


def loads(path: Path, text: str | bytes) -> Any:
    """What the text of `path` says. Raises ValueError, naming the file, where it is not such JSON."""
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: its JSON cannot be read: {error}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, value in pairs:
        if name in tree:
            raise ValueError(f"it names {printable(name)} more than once")
        tree[name] = value
    return tree
