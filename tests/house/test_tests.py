"""Tests have short, unique names, and each asserts something.

`python -m tests.house.test_tests tests/configs` lists the tests of a folder that do not.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.support.paths import REPOSITORY

MAX_NAME_LENGTH = 60


def bad_tests(folder: Path) -> list[str]:
    """List the tests below a folder that have a long or repeated name or no assertion, one line each."""
    return [line for file in sorted(folder.rglob("*.py")) for line in _errors_in(file)]


def _errors_in(file: Path) -> Iterator[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if not isinstance(node, ast.FunctionDef) or not node.name.startswith("test_"):
            continue
        if len(node.name) > MAX_NAME_LENGTH:
            yield f"{file}:{node.lineno}: {node.name} is longer than {MAX_NAME_LENGTH} characters"
        if node.name in names:
            yield f"{file}:{node.lineno}: {node.name} is defined twice"
        if not any(_is_assertion(child) for child in ast.walk(node)):
            yield f"{file}:{node.lineno}: {node.name} asserts nothing"
        names.add(node.name)


def _is_assertion(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        name = ast.unparse(node.func).rpartition(".")[2]
        return name in ("raises", "warns") or "assert" in name or "check" in name
    return isinstance(node, ast.Assert)


def test_names_are_short_and_unique_and_each_test_asserts():
    assert bad_tests(REPOSITORY / "tests") == []


def test_bad_tests_are_listed(tmp_path):
    long = f"test_{'x' * 56}"
    tests = [(long, "assert 1"), ("test_a", "f()"), ("test_a", "assert 1")]
    (tmp_path / "bad.py").write_text("\n".join(f"def {name}():\n    {body}" for name, body in tests))
    assert [line.partition(": ")[2] for line in bad_tests(tmp_path)] == [
        f"{long} is longer than 60 characters",
        "test_a asserts nothing",
        "test_a is defined twice",
    ]


if __name__ == "__main__":
    print("\n".join(line for folder in sys.argv[1:] for line in bad_tests(Path(folder))))
