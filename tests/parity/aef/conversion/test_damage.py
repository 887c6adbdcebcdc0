"""Damage of any file of a checkpoint is told in one sentence by `convert` and `diff` (row 6)."""

import shutil
from pathlib import Path

import pytest

from parity.aef.conversion.convert import convert
from parity.aef.conversion.diff import diff
from tests.support.damage import DAMAGES, assert_told
from tests.support.refusals import error_message
from tests.support.training_run import STEP, write_training_run

OLDER = 8
NEWEST_WHOLE = f"the newest whole checkpoint is {OLDER}"


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = write_training_run(tmp_path_factory.mktemp("damage") / "run")
    shutil.copytree(folder / "checkpoints" / str(STEP), folder / "checkpoints" / str(OLDER))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["delete", "flip"])
def test_a_damaged_file_is_told_before_converting(damage, run, tmp_path):
    expected = tmp_path / "expected"
    convert(run, expected)

    def read(run: Path) -> bool:
        target = tmp_path / "target"
        shutil.rmtree(target, ignore_errors=True)
        convert(run, target)
        files = {path.name: path.read_bytes() for path in target.iterdir()}
        return files == {path.name: path.read_bytes() for path in expected.iterdir()}

    assert_told(run, damage, read, NEWEST_WHOLE)


@pytest.mark.slow
def test_a_damaged_file_is_told_before_comparing(run):
    assert_told(run, "flip", lambda run: all(line.equal for line in diff(run, run)), NEWEST_WHOLE)


@pytest.mark.slow
def test_a_converted_run_has_checksums(run, tmp_path):
    convert(run, tmp_path / "torch")
    convert(tmp_path / "torch", tmp_path / "again")
    (chunk, *_) = (tmp_path / "again/checkpoints" / str(STEP) / "params").rglob("d/*")
    DAMAGES["flip"](chunk)
    assert f"{chunk} is damaged" in error_message(convert, tmp_path / "again", tmp_path / "other")
