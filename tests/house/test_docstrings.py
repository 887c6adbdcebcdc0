"""Every public function and class says what it does, what it takes and what it gives, in Google style.

`python -m tests.house.test_docstrings aef_jax/run` lists what is missing in a folder.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.support.paths import REPOSITORY

PACKAGES = ("configs", "aef_torch", "aef_jax", "parity")
Function = ast.FunctionDef | ast.AsyncFunctionDef


def missing_docstrings(folder: Path) -> list[str]:
    """List the public definitions below a folder whose docstring is missing or lacks a section, one line each."""
    return [line for file in sorted(folder.rglob("*.py")) for line in _missing_in(file)]


def _missing_in(file: Path) -> Iterator[str]:
    module = ast.parse(file.read_text())
    if not ast.get_docstring(module):
        yield f"{file}: the module has no docstring"
    for node, name in _public(module):
        docstring = ast.get_docstring(node) or ""
        lacking = [] if docstring else ["docstring"]
        if isinstance(node, ast.ClassDef):
            lacking += _lacking_of_class(node, docstring)
        elif not _is_property(node):
            lacking += _lacking_of_function(node, docstring)
        if lacking:
            yield f"{file}:{node.lineno}: {name} lacks {', '.join(lacking)}"


def _public(module: ast.Module) -> Iterator[tuple[Function | ast.ClassDef, str]]:
    for node in module.body:
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
            yield node, node.name
            if isinstance(node, ast.ClassDef):
                methods = (child for child in node.body if isinstance(child, Function))
                yield from ((m, f"{node.name}.{m.name}") for m in methods if not m.name.startswith("_"))


def _lacking_of_class(node: ast.ClassDef, docstring: str) -> list[str]:
    init = next((child for child in node.body if isinstance(child, Function) and child.name == "__init__"), None)
    documented = docstring + ((init and ast.get_docstring(init)) or "")
    return ["Args"] if init and _parameters(init) and "Args:" not in documented else []


def _lacking_of_function(node: Function, docstring: str) -> list[str]:
    lacking = ["Args"] if _parameters(node) and "Args:" not in docstring else []
    if _has_result(node) and "Returns:" not in docstring and "Yields:" not in docstring:
        lacking.append("Returns")
    return lacking


def _parameters(node: Function) -> list[str]:
    arguments = node.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    names = [argument.arg for argument in every if argument]
    return [name for name in names if name not in ("self", "cls") and not name.startswith("_")]


def _has_result(node: Function) -> bool:
    return node.returns is not None and ast.unparse(node.returns) not in ("None", "NoReturn")


def _is_property(node: Function) -> bool:
    return any("property" in ast.unparse(decorator) for decorator in node.decorator_list)


def test_public_docstrings_are_whole():
    assert [line for package in PACKAGES for line in missing_docstrings(REPOSITORY / package)] == []


def test_a_missing_section_is_found(tmp_path):
    (tmp_path / "bad.py").write_text('"""A module."""\ndef f(x: int) -> int:\n    """Double x."""\n    return 2 * x\n')
    assert missing_docstrings(tmp_path) == [f"{tmp_path / 'bad.py'}:2: f lacks Args, Returns"]


if __name__ == "__main__":
    print("\n".join(line for folder in sys.argv[1:] for line in missing_docstrings(Path(folder))))
