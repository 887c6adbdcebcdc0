"""Damage of any file of a checkpoint is told in one sentence, or changes nothing, when a run is continued or embedded.

Row 6 of the users' cases.
"""

import shutil
from pathlib import Path

import jax
import numpy as np
import pytest

from aef_jax.run.checkpoint import restore_params
from aef_jax.run.checksums import write_checksums
from aef_jax.run.folder import RunFolder
from aef_jax.run.steps import checkpoint_steps, find_step, go_back, reading
from tests.support.converting import SMALLEST
from tests.support.damage import DAMAGES, assert_told
from tests.support.refusals import error_message
from tests.support.training_run import STEP, restore, write_training_run

OLDER = 8


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = write_training_run(tmp_path_factory.mktemp("damage") / "run")
    shutil.copytree(folder / "checkpoints" / str(STEP), folder / "checkpoints" / str(OLDER))
    return folder


def equal(tree, expected) -> bool:
    return all(jax.tree.leaves(jax.tree.map(np.array_equal, tree, expected)))


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES)
def test_training_tells_a_damaged_file(damage, run):
    whole = restore(run)
    assert_told(run, damage, lambda run: equal(restore(run), whole), f"the newest whole checkpoint is {OLDER}")


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["delete", "flip"])
def test_embedding_tells_a_damaged_file_that_it_reads(damage, run):
    folder = RunFolder(run).checkpoints
    whole = restore_params(folder, SMALLEST)
    unread = ("optimizer/", "data/", "run/", "metrics/")
    read = lambda _: equal(restore_params(folder, SMALLEST), whole)  # noqa: E731
    assert_told(run, damage, read, f"the newest whole checkpoint is {OLDER}", unread)


@pytest.mark.slow
def test_damage_without_checksums_is_one_sentence(run, tmp_path):
    """Checkpoints of older versions have none: what Orbax raises is told, without its lines."""
    copied = Path(shutil.copytree(run, tmp_path / "run"))
    checkpoint = copied / "checkpoints" / str(STEP)
    (checkpoint / "checksums.json").unlink()
    assert equal(restore(copied), restore(run))
    for file in (checkpoint / "params").rglob("*"):
        if file.is_file():
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    for read in (restore, lambda run: restore_params(RunFolder(run).checkpoints, SMALLEST)):
        message = error_message(read, copied)
        assert f"checkpoints/{STEP} cannot be read: " in message
        assert message.endswith(f"; the newest whole checkpoint is {OLDER}")


@pytest.mark.slow
def test_a_checkpoint_is_chosen_by_its_step(run, tmp_path):
    folder = RunFolder(run).checkpoints
    assert equal(*(restore_params(folder, SMALLEST, which=step) for step in (OLDER, STEP)))
    refused = error_message(restore_params, folder, SMALLEST, which=9)
    assert refused == f"{folder} holds no checkpoint 9, expected one of the steps [{OLDER}, {STEP}]"


@pytest.mark.slow
def test_going_back_keeps_later_checkpoints_aside(run, tmp_path):
    copied = RunFolder(Path(shutil.copytree(run, tmp_path / "run")))
    chunk = max((copied.checkpoints / str(STEP) / "params").rglob("*"), key=lambda path: path.stat().st_size)
    DAMAGES["flip"](chunk)
    for _ in range(2):
        go_back(copied.checkpoints, OLDER, copied.set_aside)
        assert checkpoint_steps(copied.checkpoints) == [OLDER]
        shutil.copytree(run / "checkpoints" / str(STEP), copied.checkpoints / str(STEP))
    assert sorted(path.name for path in copied.set_aside.iterdir()) == [str(STEP), f"{STEP}-2"]
    DAMAGES["flip"](copied.checkpoints / str(OLDER) / "data/metadata")
    assert "data/metadata is damaged" in error_message(go_back, copied.checkpoints, OLDER, copied.set_aside)
    assert checkpoint_steps(copied.checkpoints) == [OLDER, STEP]


@pytest.mark.slow
def test_a_damaged_score_of_an_older_checkpoint_is_told(run, tmp_path):
    copied = Path(shutil.copytree(run, tmp_path / "run"))
    older = copied / "checkpoints" / str(OLDER)
    DAMAGES["flip"](older / "metrics/metrics")
    message = error_message(restore, copied)
    assert message.startswith(f"{older}/metrics/metrics is damaged: ")
    assert message.endswith(f"; to go on without it, move {older} away")
    shutil.rmtree(older)
    assert equal(restore(copied), restore(run))


@pytest.mark.slow
def test_a_loss_that_is_not_finite_is_no_damage(run, tmp_path):
    """Of an older version too, which wrote it: such a checkpoint is never the best."""
    copied = Path(shutil.copytree(run, tmp_path / "run"))
    checkpoints = copied / "checkpoints"
    (checkpoints / str(OLDER) / "metrics/metrics").write_text('{"validation": NaN}')
    write_checksums(checkpoints / str(OLDER))
    assert equal(restore(copied), restore(run))
    assert find_step(checkpoints, "best") == STEP

    written = write_training_run(tmp_path / "written", score=float("nan"))
    assert equal(restore(written), restore(run))
    assert "no checkpoint has a validation loss" in error_message(find_step, written / "checkpoints", "best")


@pytest.mark.slow
def test_what_the_machine_has_run_out_of_is_no_damage(run):
    with pytest.raises(MemoryError), reading(RunFolder(run).checkpoints, STEP):
        raise MemoryError
