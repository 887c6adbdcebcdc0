"""A config as JSON: what a run writes into its folder, and can be started from."""

import json
import math
import types
from dataclasses import asdict, fields, is_dataclass
from difflib import get_close_matches
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from configs.config import Config

_LISTED = 20
"""Names that a hint lists at most."""
_SHOWN = 80
"""Characters of a wrong value that a message repeats at most."""
_LATER = {"workers"}
"""Fields that a config written before they came has not; what their defaults compute is the same."""


def to_json(config: Config) -> str:
    return json.dumps(asdict(config), indent=2) + "\n"


def from_json(text: str) -> Config:
    """Raises ValueError, with one sentence, where the text is not a whole config or a value is out of range."""
    try:
        tree = json.loads(text)
    except RecursionError:
        raise ValueError("not a config: the JSON is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"not JSON: {error}") from None
    return typed(tree, Config, "config")


def typed(value: Any, kind: Any, where: str) -> Any:
    """`value`, out of JSON, as the type that a config's field declares. Raises ValueError, naming the field."""
    if is_dataclass(kind):
        return _dataclass(value, kind, where)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return None if value is None else typed(value, next(a for a in arguments if a is not type(None)), where)
    if origin is Literal:
        return _expected(value in arguments, value, where, f"one of {', '.join(map(str, arguments))}")
    if origin is tuple:
        _expected(isinstance(value, list | tuple), value, where, "a list")
        kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else arguments
        _expected(len(value) == len(kinds), value, where, f"a list of {len(kinds)}")
        return tuple(typed(item, k, f"{where}[{i}]") for i, (item, k) in enumerate(zip(value, kinds, strict=True)))
    if kind is float:
        return _finite(value, where)
    return _expected(type(value) is kind, value, where, f"a value of type {kind.__name__}")


def nearest(name: str, valid: list[str]) -> str:
    """A hint for a name that is not known: the nearest one that is, or all there are, if they are few."""
    close = get_close_matches(name, valid, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]}?"
    more = ", ..." if len(valid) > _LISTED else ""
    return f"expected one of {', '.join(valid[:_LISTED])}{more}"


def _dataclass(value: Any, kind: Any, where: str) -> Any:
    _expected(isinstance(value, dict), value, where, "a JSON object")
    hints = get_type_hints(kind)
    names = [field.name for field in fields(kind)]
    for name in value:
        if name not in names:
            raise ValueError(f"{where}: there is no field {name!r}; {nearest(name, names)}")
    missing = [name for name in names if name not in value and name not in _LATER]
    if missing:
        raise ValueError(f"{where}: the field {missing[0]!r} is missing")
    return kind(**{name: typed(value[name], hints[name], f"{where}.{name}") for name in names if name in value})


def _finite(value: Any, where: str) -> float:
    """A finite float, of what JSON, Python's reader of which knows NaN and Infinity, has as a number."""
    _expected(type(value) in (int, float), value, where, "a value of type float")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{where} is {number}, expected a finite number")
    return number


def _expected(holds: bool, value: Any, where: str, expected: str) -> Any:
    if not holds:
        text = repr(value)
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
        raise ValueError(f"{where} is {shown}, expected {expected}")
    return value
