"""Tests that a run that is killed repeatedly ends bit-identical to an uninterrupted one."""

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
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

STEPS = 36
LONG = replace(BRIEF, training=replace(BRIEF.training, steps=STEPS, evaluate_every=18, checkpoint_every=3, keep_last=2))
VISIBILITY_TIMEOUT_S = 300

Kill = Callable[[subprocess.Popen], None]
"""Waits for the moment to kill the process."""


@pytest.fixture(scope="module")
def whole(training, tmp_path_factory) -> RunFolder:
    """Return a run that was not interrupted."""
    run = RunFolder(tmp_path_factory.mktemp("whole") / "run")
    with _started(run, training) as process:
        assert process.wait(VISIBILITY_TIMEOUT_S) == 0
    return run


@pytest.mark.slow
def test_run_killed_ten_times_ends_bit_identical(training, whole, tmp_path):
    """Kill three times during startup, three times while a checkpoint is written, and four times at a random step."""
    moments = random.Random(0)
    run = RunFolder(tmp_path / "run")
    kills: list[Kill] = [
        *(partial(_wait, moments.uniform(0.1, 6)) for _ in range(3)),
        *([partial(_wait_for_a_save, run)] * 3),
        *(partial(_wait_for_steps, run, moments.randrange(1, 8)) for _ in range(4)),
    ]
    moments.shuffle(kills)
    reached = []
    for kill in kills:
        with _started(run, training) as process:
            kill(process)
            process.kill()
        assert process.returncode == -signal.SIGKILL, "it ended before it could be killed: give it more steps"
        reached.append(_steps_recorded(run))
    assert max(reached) > 0
    with _started(run, training) as process:
        assert process.wait(VISIBILITY_TIMEOUT_S) == 0

    assert _metrics(run) == _metrics(whole)
    state, expected = (_state(each) for each in (run, whole))
    assert int(state.step) == STEPS
    assert all(jax.tree.leaves(jax.tree.map(np.array_equal, state, expected))), "parameters, moments or step differ"


def _started(run: RunFolder, training) -> subprocess.Popen:
    config = run.path.parent / "long.json"
    config.write_text(to_json(LONG))
    command = [sys.executable, "-m", "aef_jax.cli.main", "train", str(config), "--run", str(run.path)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, env=training.environment, **quiet)


def _wait(seconds: float, _: subprocess.Popen) -> None:
    time.sleep(seconds)


def _wait_for_a_save(run: RunFolder, process: subprocess.Popen) -> None:
    """Wait until a checkpoint exists under its temporary name."""
    _until(process, lambda: any("tmp" in path.name for path in run.checkpoints.glob("*")))


def _wait_for_steps(run: RunFolder, number: int, process: subprocess.Popen) -> None:
    """Wait until `number` steps beyond the last checkpoint were done, counted from now."""
    saved = max([0, *(int(path.name) for path in run.checkpoints.glob("*") if path.name.isdecimal())])
    now, target = time.time(), min(saved + number, STEPS - 1)
    file = run.metrics_path
    _until(process, lambda: file.exists() and file.stat().st_mtime > now and _steps_recorded(run) >= target)


def _until(process: subprocess.Popen, happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + VISIBILITY_TIMEOUT_S
    while not happened() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.001)


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
