"""Commands in processes of their own that may write, open or use little: one line, and no litter."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.converting import random_tensors, write
from tests.support.hostile_names import assert_harmless
from tests.support.training_run import write_training_run

pytestmark = pytest.mark.slow

FIELD = ("--period", "2018", "-o", "field.tif")
SMALL = "ulimit -f 16;"
"""Kilobytes of a file."""


def _last_lines(folder: Path, *words: str, limits: str = "", **environment: str) -> list[str]:
    """Run a command that must end with exit code 2, and return what it printed, without progress bars."""
    command = ["bash", "-c", f'{limits} exec "$@"', "bash", sys.executable, "-m", *words]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", **environment}
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 2, ended.stderr
    assert "Traceback" not in ended.stderr
    assert_harmless(ended.stderr.rpartition("\r")[2])
    return [line.rpartition("\r")[2] for line in (ended.stdout + ended.stderr).strip().split("\n")]


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_run_that_cannot_be_written_is_told_in_a_line(tmp_path):
    """A checkpoint is written by many threads, each of which fails: Orbax alone would log thousands of lines."""
    write(tmp_path / "in.safetensors", random_tensors())
    (line,) = _last_lines(tmp_path, "parity.cli", "convert", "in.safetensors", "run", limits=SMALL)
    assert line.startswith("aef-parity: the file would be larger than this process may write")
    assert _names(tmp_path) == {"in.safetensors"}


def test_weights_that_cannot_be_written_are_told_in_a_line(tmp_path):
    write_training_run(tmp_path / "run")
    (line,) = _last_lines(tmp_path, "parity.cli", "convert", "run", "out", limits=SMALL)
    assert line.startswith("aef-parity: the file would be larger than this process may write")
    assert _names(tmp_path) == {"run"}


def test_a_planet_that_cannot_be_written_is_told_in_a_line(tmp_path):
    words = ("data", "make-planet", "planet", "--sites", "2", "--side", "16")
    (*_, line) = _last_lines(tmp_path, "aef_jax.cli.main", *words, limits=SMALL)
    assert line.startswith("aef: the file would be larger than this process may write")
    assert _names(tmp_path) == set()


def test_memory_that_runs_out_is_told_in_a_line(tmp_path):
    words = ("data", "make-planet", "planet", "--sites", "2", "--side", "4096")
    # with RUST_BACKTRACE, Rust's standard library waits for itself where a library of Rust gets no memory
    (*_, line) = _last_lines(tmp_path, "aef_jax.cli.main", *words, limits="ulimit -v 2000000;", RUST_BACKTRACE="0")
    assert line.startswith("aef: there is no memory left: Unable to allocate")
    assert _names(tmp_path) == set()


def test_files_that_may_not_be_opened_are_told_in_a_line(tmp_path):
    """Ten are enough to embed."""
    write_training_run(tmp_path / "run")
    (line,) = _last_lines(tmp_path, "aef_jax.cli.main", "embed", "run", *FIELD, limits="ulimit -n 6;")
    assert line.startswith("aef: this process may open no more files (ulimit -n): ")
    assert _names(tmp_path) == {"run"}


def test_a_missing_device_is_told_in_a_line(tmp_path):
    """`JAX_PLATFORMS=cuda` without a GPU ended in a bare AssertionError."""
    write_training_run(tmp_path / "run")
    devices = {"JAX_PLATFORMS": "cuda", "CUDA_VISIBLE_DEVICES": "-1"}
    for words in (("aef_jax.cli.main", "embed", "run", *FIELD), ("parity.cli", "check", "debug")):
        (*_, line) = _last_lines(tmp_path, *words, **devices)
        assert ": JAX finds no device that it can use (JAX_PLATFORMS is 'cuda')" in line
    assert _names(tmp_path) == {"run", "parity-report"}
