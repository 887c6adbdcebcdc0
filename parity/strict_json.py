"""JSON whose objects name nothing twice: readers differ in which of the two they take."""

import json
from pathlib import Path
from typing import Any


def loads(path: Path, text: str | bytes) -> Any:
    """What the text of `path` says. Raises ValueError, naming the file, where it is not such JSON."""

    def check(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        tree = dict(pairs)
        if len(tree) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"it names {twice} more than once")
        return tree

    try:
        return json.loads(text, object_pairs_hook=check)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: its JSON cannot be read: {error}") from None
