"""Tests that several `aef train` over a real socket train the same run as one, and that other numbers resume it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from aef_jax.run.checkpoint import restore_params
from aef_jax.run.folder import RunFolder
from aef_jax.sharding.distributed import join
from aef_jax.sharding.mesh import AXES, FSDP, state_shardings
from aef_jax.training.step import abstract_model
from configs.mesh import MeshConfig
from configs.serialization.config_json import to_json
from tests.aef_jax.conftest import BRIEF
from tests.support.data.small_dataset import small_sites, write
from tests.support.refusals import error_message

STEPS, DEVICES = 24, 4
VISIBILITY_TIMEOUT_S = 400
CONFIG = replace(
    BRIEF,
    model=replace(BRIEF.model, d_precision=48, d_exchange=8, d_time=8, d_space=8, mlp_ratio=1, decoder_width=8),
    mesh=MeshConfig(data=1, fsdp=2, seq=2),
    training=replace(BRIEF.training, steps=STEPS, evaluate_every=STEPS, checkpoint_every=4),
)
"""Two sequences, each on two devices. Of four processes, two share a sequence, and each holds half of the kernels that
are large enough to be split."""
PROMISED_S = 60
"""How soon processes end that have lost one of them."""
TOLERANCE = 1e-5
"""Another library sums over devices between processes than within one, in another order. The difference is a few ULP,
which Adam's first steps amplify."""


@pytest.fixture(scope="module")
def config_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("processes") / "config.json"
    path.write_text(to_json(CONFIG))
    return path


@pytest.fixture(scope="module")
def alone(training, config_file, tmp_path_factory) -> RunFolder:
    """Return a run of one process that has all devices."""
    run = RunFolder(tmp_path_factory.mktemp("alone") / "run")
    with started(1, run, training, config_file) as processes:
        ended_well(processes)
    return run


@pytest.mark.slow
def test_run_over_four_two_and_one_process_equals_one_process(training, alone, config_file, tmp_path):
    """SIGKILL of one of four loses the unsaved steps; SIGTERM of one of two stops and saves both at the same step."""
    run = RunFolder(tmp_path / "run")
    with started(4, run, training, config_file) as processes:
        wait_for_steps(run, 6, processes)
        processes.pop(2).kill()
        assert_told(processes, r"process 2 ended or stopped answering; the last checkpoint is that of step \d+: start")
    killed = max(saved_steps(run))
    assert 4 <= killed < STEPS
    with started(2, run, training, config_file) as processes:
        wait_for_steps(run, len(losses(run)) + 1, processes)
        processes[1].send_signal(signal.SIGTERM)
        steps = ended_well(processes)
    assert killed < steps[0] == steps[1] < STEPS
    assert max(saved_steps(run)) == steps[0] == len(losses(run))
    with started(1, run, training, config_file) as processes:
        ended_well(processes)
    assert_same(run, alone)


@pytest.mark.slow
def test_a_first_process_that_stops_answering_is_told(training, config_file, tmp_path):
    run = RunFolder(tmp_path / "run")
    with started(2, run, training, config_file) as processes:
        wait_for_steps(run, 2, processes)
        processes[0].send_signal(signal.SIGSTOP)
        assert_told(processes[1:], rf"process 0 ended or stopped answering; {run.path} holds no checkpoint yet")


@pytest.mark.slow
def test_processes_with_other_data_or_settings_all_say_so(training, config_file, tmp_path):
    sets = [write(tmp_path / f"of_{number}", small_sites(number)) for number in (3, 4)]
    of_all = ["--data.tile_side", "16", "--data", sets[0]]
    with started(2, RunFolder(tmp_path / "run"), training, config_file, of_all, ["--data", sets[1]]) as processes:
        other = r"data set.records 4 and process 0 with 3"
        assert_told(processes, f"aef: process 1 was started with {other}: start all processes with the same settings")


@pytest.mark.slow
def test_a_first_process_that_never_comes_is_told(training, config_file, tmp_path):
    of_last = ["--join-timeout", "5"]
    with started(2, RunFolder(tmp_path / "run"), training, config_file, (), of_last) as processes:
        processes[0].kill()
        assert_told(processes[1:], r"process 1 of 2 and looked for 127.0.0.1:\d+ for 5 s; .* holds no checkpoint yet")


@pytest.mark.slow
def test_parameters_are_split_over_processes():
    mesh = jax.sharding.AbstractMesh((CONFIG.mesh.data, CONFIG.mesh.fsdp, CONFIG.mesh.seq), AXES)
    shardings = jax.tree.leaves(state_shardings(abstract_model(CONFIG)[1], mesh))
    assert any(FSDP in sharding.spec for sharding in shardings)


def test_incomplete_coordinator_options_are_refused():
    assert "--processes is missing" in error_message(join, "127.0.0.1:1", None, 0)
    assert "--process is 2, expected 0 to 1" in error_message(join, "127.0.0.1:1", 2, 2)


@contextmanager
def started(
    number: int,
    run: RunFolder,
    training,
    config_file: Path,
    of_all: Sequence[str | Path] = (),
    of_last: Sequence[str | Path] = (),
) -> Iterator[list[subprocess.Popen]]:
    """Start `number` processes of a run, which share its devices, and end them all.

    `of_all` are further words of all commands, and `of_last` of the last one.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [sys.executable, "-m", "aef_jax.cli.main", "train", config_file, "--run", run.path, *of_all]
    joined = ["--distributed", "--coordinator", address, "--processes", str(number), "--process"]
    processes = [
        subprocess.Popen(
            [*command, *joined, str(process), *(of_last if process == number - 1 else ())] if number > 1 else command,
            env={**training.environment, "JAX_NUM_CPU_DEVICES": str(DEVICES // number)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for process in range(number)
    ]
    every = tuple(processes)
    try:
        yield processes
    finally:
        for process in every:
            process.kill()
            process.communicate()  # closes its pipes


def ended_well(processes: list[subprocess.Popen]) -> list[int]:
    """Return the number of steps that each process reports in its last line."""
    steps = []
    for process in processes:
        out, err = process.communicate(timeout=VISIBILITY_TIMEOUT_S)
        assert process.returncode == 0, err
        steps.append(int(re.findall(r"^(?:trained|stopped after) (\d+)", out, re.MULTILINE)[-1]))
    return steps


def assert_told(processes: list[subprocess.Popen], expected: str) -> None:
    """Assert that all end within the promised time, by themselves, and each with this sentence as its last."""
    deadline = time.monotonic() + PROMISED_S
    for process in processes:
        _, err = process.communicate(timeout=deadline - time.monotonic())
        assert process.returncode != 0
        assert re.search(expected, err.strip().splitlines()[-1]), err
        assert "stack trace" not in err


def wait_for_steps(run: RunFolder, steps: int, processes: list[subprocess.Popen]) -> None:
    deadline = time.monotonic() + VISIBILITY_TIMEOUT_S
    while not (run.metrics_path.exists() and len(losses(run)) >= steps):
        assert time.monotonic() < deadline
        for process in processes:
            assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)


def losses(run: RunFolder) -> dict[int, float]:
    """Return the losses by step. Each is recorded once, because only the first process writes."""
    records = [json.loads(line) for line in run.metrics_path.read_text().splitlines() if line.endswith("}")]
    pairs = [(record["step"], record["loss"]) for record in records if record["kind"] == "train"]
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def saved_steps(run: RunFolder) -> list[int]:
    return [int(name) for name in os.listdir(run.checkpoints) if name.isdigit()]


def assert_same(run: RunFolder, expected: RunFolder) -> None:
    """Compare losses and parameters. The batches and their order are the same, so only rounding differs."""
    actual, reference = losses(run), losses(expected)
    assert list(actual) == list(reference) == list(range(1, STEPS + 1))
    np.testing.assert_allclose(list(actual.values()), list(reference.values()), rtol=TOLERANCE)
    params = [restore_params(folder.checkpoints, CONFIG) for folder in (run, expected)]
    for leaf, expected_leaf in zip(*map(jax.tree.leaves, params), strict=True):
        assert np.linalg.norm(leaf - expected_leaf) <= TOLERANCE * np.linalg.norm(expected_leaf) + TOLERANCE
