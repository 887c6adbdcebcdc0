"""Write a config as JSON, and read it back: `config.json` in a run's folder, and files that runs start from."""

import json
import math
import types
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from configs.config import Config
from configs.serialization.printable import LONGEST_NAME, printable, printable_value, require_printable
from configs.serialization.strict_json import INT64, loads
from configs.serialization.versions import VERSION, upgrade
from configs.source import Source

_MAX_NAMES = 20
"""Names that a hint lists at most."""
_MAX_ITEMS = 10_000
"""Items of a list at most."""
_MAX_CHARACTERS = 80
"""Characters of a wrong value that a message repeats at most."""


def to_json(config: Config) -> str:
    """Write a config as JSON: its version, the settings, and last the sources.

    Args:
        config: any config.

    Returns:
        Indented JSON that ends with a newline.
    """
    tree = asdict(config)
    sources = tree.pop("sources")
    return json.dumps({"version": VERSION, **tree, "sources": sources}, indent=2) + "\n"


def summary_json(config: Config) -> str:
    """Write the settings of a config as JSON, with one line for each source.

    Args:
        config: any config.

    Returns:
        Indented JSON that ends with a newline. `from_json` refuses it, because the sources are not whole.
    """
    tree = json.loads(to_json(config))
    return json.dumps({**tree, "sources": {s.name: _summary(s) for s in config.sources}}, indent=2) + "\n"


def from_json(text: str) -> Config:
    """Read a config that `to_json` wrote, in this or an older version.

    Args:
        text: JSON of a whole config.

    Returns:
        The validated config. Settings that are newer than the text have the values of its time.

    Raises:
        ValueError: the text is not JSON, a field is unknown, missing or of another type, a value is out of range, or
            the version is newer than this program's.
    """
    return typed(upgrade(loads("config", text, finite=False)), Config, "config")


def typed(value: Any, kind: Any, where: str) -> Any:
    """Convert a value parsed from JSON or TOML to the type that a config's field declares.

    Args:
        value: what was parsed.
        kind: declared type: a dataclass, Literal, tuple, Mapping with names, optional or plain type.
        where: dotted name of the field, for messages.

    Returns:
        The value as `kind`.

    Raises:
        ValueError: the value is not of that type, or is a float that is not finite.
    """
    if is_dataclass(kind):
        return _dataclass(value, kind, where)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return None if value is None else typed(value, next(a for a in arguments if a is not type(None)), where)
    if origin is Literal:
        is_one = any(type(value) is type(each) and value == each for each in arguments)
        return _expect(is_one, value, where, f"one of {', '.join(map(str, arguments))}")
    if origin is tuple:
        _expect(isinstance(value, list | tuple), value, where, "a list")
        _expect(len(value) <= _MAX_ITEMS, value, where, f"at most {_MAX_ITEMS} items")
        kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else arguments
        _expect(len(value) == len(kinds), value, where, f"a list of {len(kinds)}")
        return tuple(typed(item, k, f"{where}[{i}]") for i, (item, k) in enumerate(zip(value, kinds, strict=True)))
    if origin is Mapping:
        _expect(isinstance(value, dict), value, where, "a table")
        _expect(len(value) <= _MAX_ITEMS, value, where, f"at most {_MAX_ITEMS} items")
        return {
            require_printable(f"an entry of {where}", name): typed(item, arguments[1], f"{where}.{printable(name)}")
            for name, item in value.items()
        }
    if kind is float:
        return _finite(value, where)
    if kind is int:
        return _expect(type(value) is int and value in INT64, value, where, "a value of type int, of 64 bits")
    return _expect(type(value) is kind, value, where, f"a value of type {kind.__name__}")


def nearest(name: str, valid: list[str]) -> str:
    """Write a hint for an unknown name.

    Args:
        name: what the user wrote.
        valid: all valid names.

    Returns:
        A question with the most similar valid name, or a list of the first valid names if none is similar.
    """
    close = get_close_matches(name[:LONGEST_NAME], valid, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]}?"
    more = ", ..." if len(valid) > _MAX_NAMES else ""
    return f"expected one of {', '.join(valid[:_MAX_NAMES])}{more}"


def _summary(source: Source) -> str:
    if source.kind == "text":
        return f"text, weight {source.weight:g}"
    size = f"{source.classes} classes" if source.classes else f"{source.channels} band{'s' * (source.channels > 1)}"
    role = f"input with up to {source.frame_budget} frames" if source.is_input else "target only"
    return f"{source.kind}, {size}, {role}, weight {source.weight:g}"


def _dataclass(value: Any, kind: Any, where: str) -> Any:
    _expect(isinstance(value, dict), value, where, "a JSON object")
    hints = _hints(kind)
    names = list(hints)
    for name in value:
        if name not in names:
            raise ValueError(f"{where}: there is no field {printable_value(name)}; {nearest(name, names)}")
    missing = [name for name in names if name not in value]
    if missing:
        raise ValueError(f"{where}: the field {missing[0]!r} is missing")
    return kind(**{name: typed(value[name], hints[name], f"{where}.{name}") for name in names})


@cache
def _hints(kind: Any) -> dict[str, Any]:
    """Return the declared type of each field of a dataclass."""
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _finite(value: Any, where: str) -> float:
    """Convert a JSON number to float. Raises ValueError if it is NaN or infinite, which Python's JSON reader allows."""
    _expect(type(value) in (int, float), value, where, "a value of type float")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{where} is {number}, expected a finite number")
    return number


def _expect(is_valid: bool, value: Any, where: str, expected: str) -> Any:
    if not is_valid:
        raise ValueError(f"{where} is {printable(repr(value), _MAX_CHARACTERS)}, expected {expected}")
    return value
