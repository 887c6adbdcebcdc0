"""Override any field of a config by its dotted name: `training.steps 200`, `sources.sentinel2.weight 0.5`."""

import json
from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, get_type_hints

from configs.config import Config
from configs.serialization.config_json import nearest, typed
from configs.serialization.printable import printable, printable_value
from configs.serialization.versions import new_names
from configs.source import Source


def override(config: Config, arguments: Sequence[str]) -> Config:
    """Apply `--name value` or `--name=value` pairs to a config, all at once.

    `--sources sentinel2,landsat` selects those rows of the table of sources. Old names of settings are accepted, with
    a warning. The last of several values for one name counts.

    Args:
        config: config to start from; it is not changed.
        arguments: words of a command line.

    Returns:
        The changed config, validated.

    Raises:
        ValueError: a name is unknown (the message has the most similar valid one), a value is missing, of another type
            or out of range, or a setting is given under its old and its new name.
    """
    tree: dict[str, Any] = {}
    pairs = _pairs(arguments)
    renamed = new_names((name for name, _ in pairs), "")
    for given_name, text in pairs:
        name = renamed.get(given_name, given_name)
        if name == "sources":
            config = _with_sources(config, text)
            continue
        kind = _field_type(config, name)
        node = tree
        *parents, leaf = name.split(".")
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = typed(_parsed(text, kind), kind, name)
    return _replaced(config, tree)


def _with_sources(config: Config, text: str) -> Config:
    names, rows = [name.strip() for name in text.split(",")], {source.name: source for source in config.sources}
    for name in names:
        if name not in rows:
            raise ValueError(f"--sources: there is no source {printable_value(name)}; {nearest(name, list(rows))}")
    return replace(config, sources=tuple(row for name, row in rows.items() if name in names))


def field_names(node: Any, prefix: str = "") -> list[str]:
    """List all dotted names below a config, in order.

    Args:
        node: a config, one of its parts, or a table of sources.
        prefix: start of each name.

    Returns:
        The names of all settings.
    """
    names = []
    for name, child in _children(node).items():
        inner = field_names(child, f"{prefix}{name}.") if _has_children(child) else [prefix + name]
        names.extend(inner)
    return names


def _pairs(arguments: Sequence[str]) -> list[tuple[str, str]]:
    pairs, rest = [], list(arguments)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            raise ValueError(f"{printable_value(word)} is no option, expected a dotted name as in --training.steps 200")
        name, equals, text = word.removeprefix("--").partition("=")
        if not equals:
            if not rest:
                raise ValueError(f"--{printable(name)} has no value, expected one after it")
            text = rest.pop(0)
        pairs.append((name.replace("-", "_"), text))
    return pairs


def _field_type(config: Config, name: str) -> Any:
    node: Any = config
    *parents, leaf = name.split(".")
    for part in parents:
        children = _children(node)
        if part not in children or not _has_children(children[part]):
            raise _unknown(config, name)
        node = children[part]
    hints = get_type_hints(type(node)) if is_dataclass(node) else {}
    if leaf not in hints or leaf not in _children(node) or _has_children(_children(node)[leaf]):
        raise _unknown(config, name)
    return hints[leaf]


def _unknown(config: Config, name: str) -> ValueError:
    # the many settings of the sources are listed last
    names = sorted(field_names(config), key=lambda known: known.startswith("sources."))
    return ValueError(f"there is no setting {printable_value(name)}; {nearest(name, names)}")


def _parsed(text: str, kind: Any) -> Any:
    if kind is str:
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return {"True": True, "False": False, "None": None}.get(text, text)


def _replaced(node: Any, tree: dict[str, Any]) -> Any:
    if isinstance(node, tuple):
        return tuple(_replaced(source, tree[source.name]) if source.name in tree else source for source in node)
    values = {}
    for name, value in tree.items():
        child = getattr(node, name)
        values[name] = _replaced(child, value) if _has_children(child) else value
    return replace(node, **values)


def _children(node: Any) -> dict[str, Any]:
    if isinstance(node, tuple):
        return {source.name: source for source in node}
    return {field.name: getattr(node, field.name) for field in fields(node)}


def _has_children(node: Any) -> bool:
    """Say whether dotted names continue below: a part of the config, or the table of sources by a source's name."""
    return is_dataclass(node) or (isinstance(node, tuple) and bool(node) and isinstance(node[0], Source))
