"""JSON whose objects name nothing twice: readers differ in which of two equal names they take."""

import json
from typing import Any

from configs.serialization.printable import printable


def loads(where: object, text: str | bytes) -> Any:
    """Parse JSON that may come from anywhere.

    Args:
        where: the file, for messages.
        text: the JSON.

    Returns:
        Dicts, lists, texts, numbers and None.

    Raises:
        ValueError: the text is not JSON, is nested too deeply, or names something twice.
    """
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where}: its JSON cannot be read: {error}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, value in pairs:
        if name in tree:
            raise ValueError(f"it names {printable(name)} more than once")
        tree[name] = value
    return tree
