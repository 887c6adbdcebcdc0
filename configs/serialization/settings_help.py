"""Explain the settings, from the docstrings of the config's fields."""

import ast
import inspect
import json
import textwrap
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from configs.config import Config

_WIDTH = 120
_INDENT = 46
"""Column in which the meanings start."""


def settings_help() -> str:
    """List all settings but the sources' by group: name, default and meaning.

    Returns:
        Lines of at most 120 columns. Defaults are those of the preset paper.
    """
    config, meanings = Config(), field_docs(Config)
    lines = [
        "settings (--GROUP.NAME VALUE) with the defaults of the preset paper; aef config tiny prints a preset's own"
    ]
    for field in fields(Config):
        if field.name != "sources":
            lines += ["", f"{field.name}: {_first_sentence(meanings[field.name])}"]
            lines += _group(field.name, getattr(config, field.name))
    lines += ["", f"sources: {_first_sentence(meanings['sources'])}"]
    lines += _row("--sources NAME,NAME", "Only these sources, as in --sources sentinel2,landsat.")
    lines += _row("--sources.NAME.FIELD VALUE", "A field of one source; aef config tiny --sources prints them all.")
    return "\n".join(lines)


def field_docs(kind: type) -> dict[str, str]:
    """Read the docstrings below the fields of a dataclass.

    Args:
        kind: a dataclass whose source file is there.

    Returns:
        Docstring by field name, on one line each; fields without one are left out.
    """
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(definition, ast.ClassDef)
    return dict(_documented(definition))


def _documented(definition: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for statement, following in zip(definition.body, definition.body[1:], strict=False):
        match statement, following:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, " ".join(text.split())


def _group(group: str, part: Any) -> Iterator[str]:
    meanings = field_docs(type(part))
    for field in fields(part):
        value = getattr(part, field.name)
        default = value if value and isinstance(value, str) else json.dumps(value)
        yield from _row(f"--{group}.{field.name} {default}", _first_sentence(meanings[field.name]))


def _row(option: str, meaning: str) -> list[str]:
    first = f"  {option}".ljust(_INDENT - 1) + " "
    return textwrap.wrap(meaning, _WIDTH, initial_indent=first, subsequent_indent=" " * _INDENT)


def _first_sentence(text: str) -> str:
    return text.partition(". ")[0].removesuffix(".") + "."
