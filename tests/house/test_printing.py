"""Commands print by `print_lines` alone, which escapes what a terminal would obey.

`python -m tests.house.test_printing aef_jax/cli` lists the other places of a folder.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.support.paths import REPOSITORY

PACKAGES = ("configs", "aef_torch", "aef_jax", "parity")
ALLOWED = {
    "configs/serialization/printable.py": "it is the function",
}


def bare_prints(folder: Path) -> list[str]:
    """List the calls of `print` below a folder."""
    return [line for file in sorted(folder.rglob("*.py")) for line in _prints_in(file)]


def _prints_in(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        match node:
            case ast.Call(func=ast.Name(id="print")):
                yield f"{file}:{node.lineno}: print"


def test_commands_print_by_one_function():
    places = [line for package in PACKAGES for line in bare_prints(REPOSITORY / package)]
    files = {str(Path(line.partition(":")[0]).relative_to(REPOSITORY)) for line in places}
    assert files == ALLOWED.keys()


def test_a_bare_print_is_found(tmp_path):
    (tmp_path / "bad.py").write_text("def f(name):\n    print(name)\n    print_lines(name)\n")
    assert bare_prints(tmp_path) == [f"{tmp_path / 'bad.py'}:2: print"]


if __name__ == "__main__":
    print("\n".join(line for folder in sys.argv[1:] for line in bare_prints(Path(folder))))
