"""The wheel beside a project that has packages of the same names (users' cases, rows 9 and 10)."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import REPOSITORY

SOURCES = ("aef_jax", "aef_torch", "parity", "configs")
FILES = ("aef_packages.py", "aef_parity_plugin.py", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """Build the wheel and unpack it as pip does."""
    source, site = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    for name in SOURCES:
        shutil.copytree(REPOSITORY / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(REPOSITORY / name, source)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", "dist", "."], cwd=source, check=True)
    subprocess.run(
        [*pip, "install", "--no-deps", "--target", site, *(source / "dist").glob("*.whl")], cwd=source, check=True
    )
    return site


@pytest.fixture
def run(installed, tmp_path):
    """Return a function that runs Python in a project's folder, which comes first on sys.path."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(tmp_path), str(installed)])
        environment = {**os.environ, "PYTHONPATH": path, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": ""}
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)

    return run


def _package(folder: Path) -> None:
    folder.mkdir()
    (folder / "__init__.py").write_text("")


@pytest.mark.slow
def test_every_file_is_in_the_wheel(installed):
    """So an installed package computes what the tests of the checkout see."""
    files = {path.relative_to(REPOSITORY) for name in SOURCES for path in (REPOSITORY / name).rglob("*")}
    files = {path for path in files if "__pycache__" not in path.parts and (REPOSITORY / path).is_file()}
    expected = {str(path): (REPOSITORY / path).read_bytes() for path in files if path.suffix != ".md"}
    actual = {name: (installed / name).read_bytes() for name in expected if (installed / name).exists()}
    assert {name for name in expected if actual.get(name) != expected[name]} == set()


@pytest.mark.slow
@pytest.mark.parametrize("module", ["aef_jax.model", "aef_torch.model", "parity.mapping.model_map"])
def test_another_package_called_configs_is_told(run, installed, tmp_path, module):
    _package(tmp_path / "configs")
    result = run("-c", f"import {module}")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == (
        f"ImportError: aef needs its own package 'configs', {installed / 'configs'}, but "
        f"{tmp_path / 'configs' / '__init__.py'} comes first on sys.path: "
        "rename that one, or start Python where it is not found"
    )


@pytest.mark.slow
def test_a_folder_of_config_files_hides_nothing(run, tmp_path):
    (tmp_path / "configs").mkdir()
    assert run("-c", "from aef_jax import AlphaEarth").returncode == 0


@pytest.mark.slow
def test_a_project_with_packages_of_the_same_names_is_tested(run, installed, tmp_path):
    for name in ("parity", "configs", "tests"):
        _package(tmp_path / name)
    (tmp_path / "tests" / "test_own.py").write_text(
        f"import parity\n\ndef test_own():\n    assert parity.__file__.startswith({str(tmp_path)!r})\n\n"
        "def test_ours(parity_case):\n    pass\n"
    )
    output = run("-m", "pytest", "-q", "--parity-report", "report").stdout
    assert "1 passed, 1 error" in output
    assert f"ImportError: aef needs its own package 'parity', {installed / 'parity'}, but {tmp_path}" in output
