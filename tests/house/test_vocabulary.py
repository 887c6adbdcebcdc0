"""Names are the field's terms: words that only this project gave a meaning to are bound nowhere.

`python -m tests.house.test_vocabulary aef_jax/run` lists those in a folder.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.support.paths import REPOSITORY

_WORDS = """
held Holdings heldout held_out kept there found one ours theirs Place Choices Fate Stored and_also when code_of
delayed chosen within under unsplit one_device make_advance Draw StopRequest agreed say_what_there_is PATIENCE_S
about yardstick Verdict judge judged Twin Twins twin twins lookup looked_up mismatch course course_of subject
Subject parting lonely How Apart Seen Open skipped_in_a_row accumulate told EXAMPLES check ahead transfer
"""
FOLDERS = ("configs", "aef_torch", "aef_jax", "parity", "tests")
BANNED = frozenset(_WORDS.split())


def banned_names(folder: Path) -> list[str]:
    """List the places below a folder where a banned name is bound: assigned, defined, imported or a parameter."""
    return [line for file in sorted(folder.rglob("*.py")) for line in _banned_in(file)]


def _banned_in(file: Path) -> Iterator[str]:
    for node, name in _bound(ast.parse(file.read_text())):
        if name in BANNED:
            yield f"{file}:{node.lineno}: {name}"


def _bound(module: ast.Module) -> Iterator[tuple[ast.AST, str]]:
    for node in ast.walk(module):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()) | ast.arg(arg=name):
                yield node, name
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield node, name
            case ast.alias(name=name, asname=asname):
                yield node, asname or name


def test_no_private_words_are_names():
    assert [line for folder in FOLDERS for line in banned_names(REPOSITORY / folder)] == []


def test_a_banned_name_is_found(tmp_path):
    (tmp_path / "bad.py").write_text("def judge(one):\n    there = one\n")
    assert [line.rpartition(": ")[2] for line in banned_names(tmp_path)] == ["judge", "one", "there"]


if __name__ == "__main__":
    print("\n".join(line for folder in sys.argv[1:] for line in banned_names(Path(folder))))
