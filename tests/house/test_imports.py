"""Imports point one way, and files, functions and folders stay small enough to read.

`python -m tests.house.test_imports` lists every violation in the repository.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.paths import REPOSITORY

PACKAGES = ("configs", "aef_torch", "aef_jax", "parity", "tests")
FRAMEWORKS = ("jax", "flax", "optax", "orbax", "torch")
FORBIDDEN = {
    "configs": (*FRAMEWORKS, "aef_torch", "aef_jax", "parity", "tests"),
    "aef_torch": ("jax", "flax", "optax", "orbax", "aef_jax", "parity", "tests"),
    "aef_jax": ("torch", "aef_torch", "parity", "tests"),
    "parity": ("tests",),
    "aef_jax.model": tuple(f"aef_jax.{room}" for room in ("training", "cli", "run", "data", "inference")),
    "aef_jax.training": ("aef_jax.cli",),
    **{f"aef_jax.{room}": ("aef_jax.training", "aef_jax.cli") for room in ("sharding", "data", "kernels", "files")},
    "aef_jax.console": ("aef_jax.training", "aef_jax.cli"),
}
"""What the modules below each package must not import, at the top of a file or inside a function."""
MAX_FILES, MAX_LINES, MAX_FUNCTION_LINES = 14, 300, 50


def modules(root: Path) -> dict[str, Path]:
    """Map the modules of all packages below a folder to their files, by their dotted names."""
    files = (file for package in PACKAGES for file in sorted((root / package).rglob("*.py")))
    return {".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): file for file in files}


def imports(file: Path) -> Iterator[tuple[int, str, str]]:
    """Give the line, the module and the name of each import in a file, those inside functions included.

    The name is empty for `import module`.
    """
    for node in ast.walk(ast.parse(file.read_text())):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name, "") for alias in names)
            case ast.ImportFrom(module=str(module), names=names, level=0):
                yield from ((node.lineno, module, alias.name) for alias in names)
            case ast.ImportFrom():
                raise ValueError(f"{file}:{node.lineno} has a relative import, expected the module's whole name")


def forbidden_imports(root: Path) -> list[str]:
    """List the imports that FORBIDDEN rules out."""
    return [
        f"{file.relative_to(root)}:{line} imports {module}.{name}".rstrip(".")
        for importer, file in modules(root).items()
        for line, module, name in imports(file)
        if any(
            _is_below(importer, package) and any(_is_below(f"{module}.{name}", banned) for banned in forbidden)
            for package, forbidden in FORBIDDEN.items()
        )
    ]


def import_circle(root: Path) -> list[str]:
    """Find modules that import one another in a circle; an empty list if there are none."""
    files = modules(root)
    graph = {
        importer: {f"{module}.{name}" if f"{module}.{name}" in files else module for _, module, name in imports(file)}
        for importer, file in files.items()
    }
    try:
        TopologicalSorter({importer: imported & files.keys() for importer, imported in graph.items()}).prepare()
    except CycleError as error:
        return error.args[1][::-1]  # graphlib lists the imported before the importer
    return []


def oversized(root: Path) -> list[str]:
    """List folders with too many modules, and files and functions of the packages that are too long."""
    files = list(modules(root).values())
    folders = sorted({file.parent for file in files})
    counts = {folder: sum(file.parent == folder for file in files) for folder in folders}
    lines = [f"{folder.relative_to(root)} has {n} files" for folder, n in counts.items() if n > MAX_FILES]
    for file in files:
        path, length = file.relative_to(root), len(file.read_text().splitlines())
        if path.parts[0] == "tests":
            continue
        if length > MAX_LINES:
            lines.append(f"{path} has {length} lines")
        lines += [f"{path}:{name} has {n} lines" for name, n in _function_lengths(file) if n > MAX_FUNCTION_LINES]
    return lines


def _function_lengths(file: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
            yield node.name, node.end_lineno - node.lineno + 1


def top_level_folders(root: Path) -> set[str]:
    """List the folders at the top of the repository that git tracks, without those that begin with a dot."""
    tracked = subprocess.run(["git", "ls-files"], cwd=root, capture_output=True, text=True, check=True).stdout
    folders = {path.partition("/")[0] for path in tracked.splitlines() if "/" in path}
    return {name for name in folders if not name.startswith(".")}


def _is_below(name: str, package: str) -> bool:
    return f"{name}.".startswith(f"{package}.")


def test_imports_point_one_way():
    assert forbidden_imports(REPOSITORY) == []


def test_no_modules_import_each_other():
    assert " imports ".join(import_circle(REPOSITORY)) == ""


def test_files_functions_and_folders_are_small():
    assert oversized(REPOSITORY) == []


def test_no_other_folder_is_at_the_top():
    if not (REPOSITORY / ".git").exists():
        pytest.skip("not a git repository")
    assert top_level_folders(REPOSITORY) == set(PACKAGES)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("configs/a.py", "import torch"),
        ("aef_torch/a.py", "from jax import numpy"),
        ("aef_jax/a.py", "def f():\n    from aef_torch import model"),
        ("aef_jax/model/a.py", "from aef_jax import training"),
        ("aef_jax/data/store/a.py", "import aef_jax.training.loop"),
    ],
)
def test_a_forbidden_import_is_listed(tmp_path, path, line):
    _write(tmp_path, {path: line, "aef_jax/fine.py": "import jax\nimport aef_jax.training_data"})
    assert [listed.partition(":")[0] for listed in forbidden_imports(tmp_path)] == [path]


def test_a_circle_is_reported_in_order(tmp_path):
    later = "def f():\n    import parity.a"
    _write(tmp_path, {"parity/a.py": "from parity import b", "parity/b.py": "import parity.c", "parity/c.py": ""})
    assert import_circle(tmp_path) == []
    _write(tmp_path, {"parity/c.py": later})
    circle = import_circle(tmp_path)
    edges = set(pairwise(circle))
    assert edges == {("parity.a", "parity.b"), ("parity.b", "parity.c"), ("parity.c", "parity.a")}


def test_what_is_too_large_is_listed(tmp_path):
    long_function = "def f():\n" + "    pass\n" * MAX_FUNCTION_LINES
    _write(tmp_path, {"parity/long.py": "\n" * (MAX_LINES + 1), "parity/function.py": long_function})
    _write(tmp_path, {f"tests/t{number}.py": "" for number in range(MAX_FILES + 1)})
    assert oversized(tmp_path) == [
        f"tests has {MAX_FILES + 1} files",
        f"parity/function.py:f has {MAX_FUNCTION_LINES + 1} lines",
        f"parity/long.py has {MAX_LINES + 1} lines",
    ]


def _write(root: Path, sources: dict[str, str]) -> None:
    for path, source in sources.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(source)


if __name__ == "__main__":
    violations = [*forbidden_imports(REPOSITORY), *oversized(REPOSITORY)]
    violations += [" imports ".join(import_circle(REPOSITORY))]
    print("\n".join(violations))
    sys.exit(any(violations))
