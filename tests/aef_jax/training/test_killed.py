"""Tests that a run that is killed repeatedly ends bit-identical to an uninterrupted one."""

import json
import random
import subprocess
import time
from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pytest

from aef_jax.data.loading.training_data import open_data
from aef_jax.run.checkpoint import Checkpointer
from aef_jax.run.folder import RunFolder
from aef_jax.sharding.mesh import make_mesh
from aef_jax.training.step import abstract_state
from configs.serialization.config_json import to_json
from tests.aef_jax.conftest import BRIEF
from tests.support.killing import Kill, kill_command, run_command, until, wait
from tests.support.training_run import restore, write_training_run

STEPS = 36
LONG = replace(BRIEF, training=replace(BRIEF.training, steps=STEPS, evaluate_every=18, checkpoint_every=3, keep_last=2))


@pytest.fixture(scope="module")
def whole(training, tmp_path_factory) -> RunFolder:
    """Return a run that was not interrupted."""
    run = RunFolder(tmp_path_factory.mktemp("whole") / "run")
    run_command(_train(run), training.environment)
    return run


@pytest.mark.slow
def test_run_killed_six_times_ends_bit_identical(training, whole, tmp_path):
    """Kill twice during startup, twice while a checkpoint is written, and twice at a random step."""
    moments = random.Random(0)
    run = RunFolder(tmp_path / "run")
    kills: list[Kill] = [
        *(partial(wait, moments.uniform(0.1, 6)) for _ in range(2)),
        *([partial(_wait_for_a_save, run)] * 2),
        *(partial(_wait_for_steps, run, moments.randrange(1, 8)) for _ in range(2)),
    ]
    moments.shuffle(kills)
    reached = []
    for kill in kills:
        kill_command(_train(run), training.environment, kill)
        reached.append(_steps_recorded(run))
    assert max(reached) > 0
    run_command(_train(run), training.environment)

    assert not [path.name for path in run.path.rglob("*") if "tmp" in path.name]
    assert {path.name for path in run.path.iterdir()} == {path.name for path in whole.path.iterdir()}
    assert _metrics(run) == _metrics(whole)
    state, expected = (_state(each) for each in (run, whole))
    assert int(state.step) == STEPS
    assert all(jax.tree.leaves(jax.tree.map(np.array_equal, state, expected))), "parameters, moments or step differ"


@pytest.mark.slow
def test_a_checkpoint_that_a_killed_save_left_is_removed(tmp_path):
    """A save after SIGTERM, at any step, that is killed: no later one has the same temporary name."""
    run = RunFolder(write_training_run(tmp_path / "run"))
    left = run.checkpoints / "7.orbax-checkpoint-tmp"
    left.mkdir()
    restore(run.path)
    deadline = time.monotonic() + 30  # Orbax removes it in the background, and waits for that before it saves
    while left.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _train(run: RunFolder) -> tuple:
    config = run.path.parent / "long.json"
    config.write_text(to_json(LONG))
    return ("aef_jax.cli.main", "train", config, "--run", run.path)


def _wait_for_a_save(run: RunFolder, process: subprocess.Popen) -> None:
    """Wait until a checkpoint exists under its temporary name."""
    until(process, lambda: any("tmp" in path.name for path in run.checkpoints.glob("*")))


def _wait_for_steps(run: RunFolder, number: int, process: subprocess.Popen) -> None:
    """Wait until `number` steps beyond the last checkpoint were done, counted from now."""
    saved = max([0, *(int(path.name) for path in run.checkpoints.glob("*") if path.name.isdecimal())])
    now, target = time.time(), min(saved + number, STEPS - 1)
    file = run.metrics_path
    until(process, lambda: file.exists() and file.stat().st_mtime > now and _steps_recorded(run) >= target)


def _steps_recorded(run: RunFolder) -> int:
    return run.metrics_path.read_text().count('"kind": "train"') if run.metrics_path.exists() else 0


def _metrics(run: RunFolder) -> list[str]:
    lines = run.metrics_path.read_text().splitlines()
    return [line for line in lines if json.loads(line)["kind"] != "speed"]


def _state(run: RunFolder):
    checkpointer = Checkpointer(run, LONG, run.read_normalization(), open_data(LONG).data_fingerprint)
    state = checkpointer.restore(abstract_state(LONG, make_mesh(LONG.mesh)))
    checkpointer.close()
    return jax.device_get(state)
