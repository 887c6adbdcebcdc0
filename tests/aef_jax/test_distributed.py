"""Processes of one run find each other, their devices and their folder; or say in one sentence why not."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import pytest
from refusals import told

from aef_jax.distributed import join, local_devices
from aef_jax.profile import Profile
from aef_jax.run_folder import RunFolder
from aef_jax.train import train

from .conftest import BRIEF

UNSHARED = Path(__file__).with_name("run_unshared.py")
TASK = {"SLURM_JOB_ID": "7", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_STEP_NODELIST": "localhost"}
JOINS = "import jax; from aef_jax.distributed import join; join(); print(jax.config.values['jax_cuda_visible_devices'])"


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
def test_a_task_that_is_alone_on_its_node_or_sees_one_gpu_has_all_that_it_sees(task, expected):
    assert local_devices(task) == expected


def test_a_task_of_slurm_that_is_alone_on_its_node_is_not_left_with_one_of_its_gpus():
    alone = {"SLURM_NTASKS": "1", "SLURM_STEP_NUM_TASKS": "1", "SLURM_STEP_NUM_NODES": "1"}
    environment = {**os.environ, **TASK, **alone, "JAX_PLATFORMS": "cpu", "JAX_COORDINATOR_PORT": _free_port()}
    done = subprocess.run([sys.executable, "-c", JOINS], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["all"]


def test_a_join_that_comes_too_late_is_told_as_what_it_is():
    jax.devices()
    sentence = told(join, "127.0.0.1:1", 1, 0)
    assert sentence.startswith("--distributed: jax.distributed.initialize() must be called before any JAX calls")


def test_one_of_several_hosts_does_not_train_before_it_has_joined_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 4)
    assert "4 processes" in (sentence := told(train, BRIEF, RunFolder(tmp_path / "run"), None))
    assert "--distributed" in sentence


def test_processes_of_one_node_keep_their_profiles_apart(tmp_path, monkeypatch):
    assert Profile(tmp_path, None, range(1, 3)).folder == tmp_path
    monkeypatch.setattr(jax, "process_count", lambda: 4)
    monkeypatch.setattr(jax, "process_index", lambda: 3)
    assert Profile(tmp_path, None, range(1, 3)).folder == tmp_path / "3"


def _told_by_both(training, shared: Path, own: list[Path]) -> list[str]:
    """The sentences in which two hosts end that have folders of their own."""
    address = f"127.0.0.1:{_free_port()}"
    hosts = [
        subprocess.Popen(
            [sys.executable, UNSHARED, address, str(host), training.config_file, shared, folder],
            env=training.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for host, folder in enumerate(own)
    ]
    sentences = []
    try:
        for host in hosts:
            out, complained = host.communicate(timeout=300)
            assert host.returncode == 0, complained
            sentences.append(out.strip().splitlines()[-1])
    finally:
        for host in hosts:
            host.kill()
            host.wait()
    return sentences


def test_a_folder_that_a_host_does_not_see_is_told_by_all_hosts(training, tmp_path):
    shared, own = tmp_path / "shared", [tmp_path / f"of_host_{host}" for host in range(2)]
    shared.mkdir()
    for folder, sentence in zip(own, _told_by_both(training, shared, own), strict=True):
        assert f"{folder} is not one folder to all hosts: [1] of 2 do not see" in sentence
    assert not list(shared.iterdir())
    assert not list(own[0].glob(".shared*"))
    assert not (own[0] / "checkpoints").exists()


def test_where_the_first_host_cannot_begin_the_run_the_others_do_not_wait(training, tmp_path):
    (tmp_path / "file").write_text("")
    first, other = _told_by_both(training, tmp_path, [tmp_path / "file" / "run"] * 2)
    assert f"Not a directory: '{tmp_path}/file" in first
    assert other == "process 0 could not begin the run, and says why"
