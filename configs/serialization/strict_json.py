"""JSON that may come from anywhere: bounded, and without what readers understand differently.

Readers differ in which of two equal names they take, and Python's own takes NaN and Infinity, which are no JSON.
"""

import json
import math
from pathlib import Path
from typing import Any

from configs.serialization.printable import printable, sentence
from configs.serialization.read_file import read_text

MAX_DEPTH = 32
"""Most lists and objects inside one another. Those of this project's files are at most 8 deep."""
INT64 = range(-(2**63), 2**63)
"""Whole numbers that other programs and NumPy hold too."""
_INT64_DIGITS = 20
"""With the sign."""


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Args:
        path: the file.

    Returns:
        Dicts, lists, texts, numbers, booleans and None.

    Raises:
        ValueError: it is no regular file of bounded size, or not such JSON; the message names it.
        OSError: it cannot be read.
    """
    return loads(path, read_text(path))


def loads(where: object, text: str | bytes, finite: bool = True) -> Any:
    """Parse JSON.

    Args:
        where: the file, for messages.
        text: the JSON; bytes are UTF-8.
        finite: refuse NaN, infinities and whole numbers of more than 64 bits. If not, these are floats, which the
            caller refuses: it knows the field.

    Returns:
        Dicts, lists, texts, numbers, booleans and None. Texts can be encoded; whole numbers have 64 bits.

    Raises:
        ValueError: the text is not JSON, is nested too deeply, names something twice, or has a number or a text that
            is none.
    """
    try:
        text = text if isinstance(text, str) else text.decode()
        to_int, to_float = (_strict_int, _finite) if finite else (_int, float)
        hooks = {"parse_int": to_int, "parse_float": to_float, "parse_constant": to_float}
        tree = json.loads(text, object_pairs_hook=_unique, **hooks)
        _check_depth(tree)
        if "\\ud" in text.lower():  # half of a character, by its number
            json.dumps(tree, ensure_ascii=False).encode()
        return tree
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where}: its JSON cannot be read: {sentence(error)}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    tree = dict(pairs)
    if len(tree) < len(pairs):
        names: set[str] = set()
        twice = next(name for name, _ in pairs if name in names or names.add(name))
        raise ValueError(f"it names {printable(twice)} more than once")
    return tree


def _check_depth(tree: Any) -> None:
    level = [tree]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in _children(node)]
        if not level:
            return
    raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep")


def _children(node: Any) -> list[Any]:
    """Return the lists and objects directly inside one."""
    items = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return [item for item in items if isinstance(item, dict | list)]


def _int(digits: str) -> int | float:
    """Return a whole number of 64 bits, or else, as most readers do, a float, which may be infinite."""
    number = int(digits) if len(digits) <= _INT64_DIGITS else None
    return float(digits) if number is None or number not in INT64 else number


def _strict_int(digits: str) -> int:
    number = _int(digits)
    if not isinstance(number, int):
        raise ValueError(f"{printable(digits, 40)} is not a number of 64 bits")
    return number


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{printable(text, 40)} is not a finite number")
    return number
