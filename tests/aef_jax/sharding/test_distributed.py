"""Processes of one run find each other, their devices and their folder, or explain in one sentence why not."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from aef_jax.run.folder import RunFolder
from aef_jax.sharding.distributed import check_alone, join, local_devices
from aef_jax.training.loop import train
from aef_jax.training.profiler import Profile
from tests.aef_jax.conftest import BRIEF, STEPS
from tests.support.paths import PROGRAMS
from tests.support.refusals import error_message

UNSHARED, OLD_LISTING = (PROGRAMS / name for name in ("run_unshared.py", "run_old_listing.py"))
TASK = {"SLURM_JOB_ID": "7", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_STEP_NODELIST": "localhost"}
JOINS = (
    "import jax; from aef_jax.sharding.distributed import join; join();"
    " print(jax.config.values['jax_cuda_visible_devices'])"
)


def _free_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ({"SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_NUM_NODES": "4"}, []),
        ({"SLURM_STEP_NUM_TASKS": "8", "SLURM_STEP_NUM_NODES": "2"}, None),
        ({"SLURM_STEP_NUM_TASKS": "8", "SLURM_STEP_NUM_NODES": "2", "CUDA_VISIBLE_DEVICES": "3"}, []),
        ({"SLURM_STEP_NUM_TASKS": "8", "SLURM_STEP_NUM_NODES": "2", "CUDA_VISIBLE_DEVICES": "0,1"}, None),
        ({"SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_NUM_NODES": "4", "JAX_LOCAL_DEVICE_IDS": "0,1"}, None),
        ({"OMPI_COMM_WORLD_LOCAL_SIZE": "1"}, []),
        ({"OMPI_COMM_WORLD_LOCAL_SIZE": "2"}, None),
        ({}, None),
    ],
)
def test_sole_task_or_single_gpu_task_keeps_all_visible_gpus(task, expected):
    assert local_devices(task) == expected


@pytest.mark.slow
def test_slurm_task_alone_on_its_node_keeps_all_gpus():
    alone = {"SLURM_NTASKS": "1", "SLURM_STEP_NUM_TASKS": "1", "SLURM_STEP_NUM_NODES": "1"}
    environment = {**os.environ, **TASK, **alone, "JAX_PLATFORMS": "cpu", "JAX_COORDINATOR_PORT": _free_port()}
    done = subprocess.run([sys.executable, "-c", JOINS], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["all"]


def test_a_join_that_comes_too_late_is_told_as_what_it_is():
    jax.devices()
    sentence = error_message(join, "127.0.0.1:1", 1, 0)
    assert sentence.startswith("--distributed: jax.distributed.initialize() must be called before any JAX calls")


def test_host_does_not_train_before_joining_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 4)
    assert "4 processes" in (sentence := error_message(train, BRIEF, RunFolder(tmp_path / "run"), None))
    assert "--distributed" in sentence


@pytest.mark.parametrize(
    ("task", "launcher"),
    [
        ({"SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "3"}, "SLURM"),
        ({"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "3"}, "Open MPI"),
    ],
)
def test_one_of_several_tasks_does_not_take_the_run_for_its_own(task, launcher, monkeypatch):
    for name, value in task.items():
        monkeypatch.setenv(name, value)
    expected = f"this is one of 4 tasks of {launcher}: pass --distributed, or all tasks would write the same run"
    assert error_message(check_alone) == expected


@pytest.mark.parametrize("task", [{}, {"OMPI_COMM_WORLD_SIZE": "1"}, {"SLURM_STEP_NUM_TASKS": "4"}])
def test_what_runs_once_is_alone(task, monkeypatch):
    for name, value in task.items():
        monkeypatch.setenv(name, value)
    check_alone()


def test_processes_of_one_node_keep_their_profiles_apart(tmp_path, monkeypatch):
    assert Profile(tmp_path, None, range(1, 3)).folder == tmp_path
    monkeypatch.setattr(jax, "process_count", lambda: 4)
    monkeypatch.setattr(jax, "process_index", lambda: 3)
    assert Profile(tmp_path, None, range(1, 3)).folder == tmp_path / "3"


def _said_by_both(program: Path, training, shared: Path, own: list[Path]) -> list[str]:
    """Return the last lines of two hosts that share one folder, and each have another of their own."""
    address = f"127.0.0.1:{_free_port()}"
    hosts = [
        subprocess.Popen(
            [sys.executable, program, address, str(host), training.config_file, shared, folder],
            env=training.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for host, folder in enumerate(own)
    ]
    said = []
    try:
        for host in hosts:
            out, complained = host.communicate(timeout=300)
            assert host.returncode == 0, complained
            said.append(out.strip().splitlines()[-1])
    finally:
        for host in hosts:
            host.kill()
            host.wait()
    return said


@pytest.mark.slow
def test_a_folder_that_a_host_does_not_see_is_told_by_all_hosts(training, tmp_path):
    shared, own = tmp_path / "shared", [tmp_path / f"of_host_{host}" for host in range(2)]
    shared.mkdir()
    for folder, sentence in zip(own, _said_by_both(UNSHARED, training, shared, own), strict=True):
        assert f"{folder} is not shared by all hosts: processes [1] of 2 do not see" in sentence
    assert not list(shared.iterdir())
    assert not list(own[0].glob(".shared*"))
    assert not (own[0] / "checkpoints").exists()


@pytest.mark.slow
def test_hosts_do_not_wait_if_the_first_cannot_begin(training, tmp_path):
    (tmp_path / "file").write_text("")
    first, other = _said_by_both(UNSHARED, training, tmp_path, [tmp_path / "file" / "run"] * 2)
    assert f"Not a directory: '{tmp_path}/file" in first
    assert other == "process 0 could not start the run; see its error message"


@pytest.mark.slow
def test_hosts_all_resume_from_the_newest_checkpoint_or_none_do(training, tmp_path):
    """Either host may have an old listing. If one never sees the checkpoint, all say so."""
    shared, whole = (training.copied(tmp_path / name).path for name in ("shared", "whole"))
    older = training.copied(tmp_path / "older", STEPS // 2).path
    said = _said_by_both(OLD_LISTING, training, shared, [whole, older])
    for folder, (*steps, sentence) in zip((whole, older), map(json.loads, said), strict=True):
        assert steps == [STEPS, STEPS, STEPS + 1]
        assert sentence.startswith(f"{folder}/checkpoints/{STEPS} is a checkpoint that processes [1] of 2 do not see")
    assert (shared / "checkpoints" / str(STEPS + 1)).is_dir()
