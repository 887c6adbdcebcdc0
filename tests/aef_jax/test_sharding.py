"""The same numbers on any mesh, and on any number of hosts."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from jax.sharding import PartitionSpec
from refusals import told

from aef_jax.checkpoint import restore_params
from aef_jax.sharding import FSDP, check_batch, make_mesh, state_shardings, use_all_cores
from configs.training import MeshConfig

from .conftest import BRIEF, STEPS

MESHES = Path(__file__).with_name("run_on_meshes.py")
HOST = Path(__file__).with_name("run_as_host.py")


def _mesh(data: int, fsdp: int) -> jax.sharding.AbstractMesh:
    return jax.sharding.AbstractMesh((data, fsdp), ("data", FSDP))


@pytest.mark.parametrize(
    ("shape", "spec"),
    [
        ((512, 1024), (None, FSDP)),
        ((1024, 512), (FSDP, None)),
        ((15, 512, 512), (None, FSDP, None)),
        ((4, 4, 128, 320), (None, None, None, FSDP)),
        ((1001, 128), (None, FSDP)),
        ((1001, 127), ()),
        ((64,), ()),
        ((), ()),
    ],
)
def test_large_tensors_are_split_along_their_largest_axis_that_divides(shape, spec):
    leaf = jax.ShapeDtypeStruct(shape, np.float32)
    assert state_shardings(leaf, _mesh(2, 4)).spec == PartitionSpec(*spec)


def test_without_fsdp_nothing_is_split():
    leaf = jax.ShapeDtypeStruct((1024, 1024), np.float32)
    assert state_shardings(leaf, _mesh(8, 1)).spec == PartitionSpec()


def test_a_mesh_that_does_not_fill_the_devices_and_a_batch_that_does_not_split_are_told():
    many = jax.device_count() + 1
    assert f"data={many} times fsdp=1 does not make" in told(make_mesh, MeshConfig(data=many))
    assert "batch is 6, expected a multiple of the 8 devices" in told(check_batch, 6, _mesh(4, 2))
    check_batch(16, _mesh(4, 2), 2)
    assert "batch is 8, expected a multiple of the 8 devices times accumulate (2)" in told(
        check_batch, 8, _mesh(4, 2), 2
    )


def test_cores_that_a_person_chose_are_left(monkeypatch):
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", "3")
    use_all_cores(4)
    assert jax.config.values["jax_num_cpu_devices"] != 4


def test_the_first_steps_are_the_same_on_any_mesh(training):
    path = os.pathsep.join(filter(None, (str(MESHES.parents[1]), os.environ.get("PYTHONPATH"))))
    environment = {**training.environment, "JAX_NUM_CPU_DEVICES": "8", "PYTHONPATH": path}
    done = subprocess.run([sys.executable, MESHES], env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    alone, *meshes = (json.loads(line) for line in done.stdout.splitlines())
    assert [mesh["split"] for mesh in meshes] == [True, True]
    for mesh in meshes:
        np.testing.assert_allclose(mesh["history"], alone["history"], rtol=1e-5)


def test_two_hosts_train_the_run_that_one_host_trains(training, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    hosts = [
        subprocess.Popen(
            [sys.executable, HOST, address, str(host), str(training.config_file), str(tmp_path / "run")],
            env=training.environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for host in range(2)
    ]
    try:
        for host in hosts:
            _, complained = host.communicate(timeout=600)
            assert host.returncode == 0, complained
    finally:
        for host in hosts:
            host.kill()  # one that lost the other would wait for it
    params = restore_params(tmp_path / "run" / "checkpoints", BRIEF)
    expected = restore_params(training.run.checkpoints, BRIEF)
    moved = jax.tree.map(lambda x, y: float(np.abs(x - y).max()), params, expected)
    assert max(jax.tree.leaves(moved)) < 1e-3
    records = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    steps = [record["step"] for record in map(json.loads, records) if record["kind"] == "train"]
    assert steps == list(range(1, STEPS + 1)), "the first host alone writes"
