"""A run goes on from an older checkpoint, under other settings, or from the weights of another run."""

import jax
import numpy as np
import pytest

from aef_jax.cli import main as cli
from aef_jax.run.checkpoint import restore_params
from aef_jax.run.folder import RunFolder
from aef_jax.run.lock import training_lock
from aef_jax.run.steps import checkpoint_steps
from tests.aef_jax.conftest import BRIEF, STEPS
from tests.support.damage import DAMAGES

pytestmark = [pytest.mark.usefixtures("quick_compiles"), pytest.mark.slow]
MIDWAY = STEPS // 2


def params_of(run: RunFolder):
    return jax.tree.map(np.asarray, restore_params(run.checkpoints, BRIEF))


def are_equal(tree, other) -> bool:
    return all(jax.tree.leaves(jax.tree.map(np.array_equal, tree, other)))


def test_a_run_goes_on_from_the_newest_whole_checkpoint(training, tmp_path, mistake, capsys):
    """Case 6: the sentence names the damage and what to go on from, and that gives the undisturbed end."""
    run = training.copied(tmp_path / "run")
    chunk = max((run.checkpoints / str(STEPS) / "params").rglob("*"), key=lambda path: path.stat().st_size)
    DAMAGES["flip"](chunk)
    message = mistake("train", run.path)
    assert message.startswith(f"aef: {chunk} is damaged: it has the checksum ")
    assert message.endswith(f"; the newest whole checkpoint is {MIDWAY}")
    assert cli.main(["train", str(run.path), "--checkpoint", str(MIDWAY)]) == 0
    assert checkpoint_steps(run.checkpoints) == [MIDWAY, STEPS]
    assert [path.name for path in run.set_aside.iterdir()] == [str(STEPS)]
    assert are_equal(params_of(run), params_of(training.run))


def test_a_second_training_in_a_folder_is_refused(training, tmp_path, mistake):
    """Case 16."""
    run = training.copied(tmp_path / "run")
    before = sorted(run.path.rglob("*"))
    with training_lock(run.path):
        assert "is being trained in by process" in mistake("train", run.path)
    assert sorted(run.path.rglob("*")) == before
