"""List the settings in which two configs differ."""

from collections.abc import Iterator
from typing import Any

MAX_CHARACTERS = 40
"""Characters of a value that are shown."""


def changes_between(name: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    """Compare two configs, as nested dictionaries, setting by setting; rows with the same names one by one.

    Args:
        name: the dotted name of what is compared; empty for whole configs.
        old: one.
        new: the other.

    Yields:
        The dotted name of each setting that differs, and its two values.
    """
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old | new:
            yield from changes_between(f"{name}.{key}".lstrip("."), old.get(key), new.get(key))
    elif isinstance(old, tuple | list) and isinstance(new, tuple | list) and _names(old) == _names(new) != []:
        for label, *pair in zip(_names(old), old, new, strict=True):
            yield from changes_between(f"{name}.{label}", *pair)
    else:
        yield name, old, new


def shown(value: Any) -> str:
    """Shorten a value for a message.

    Args:
        value: of a setting.

    Returns:
        The names of its rows, if it has rows; else its beginning.
    """
    text = repr(_names(value) or value) if isinstance(value, tuple | list) else repr(value)
    return text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]}..."


def _names(items: Any) -> list[str]:
    return [item["name"] for item in items if isinstance(item, dict) and "name" in item]
