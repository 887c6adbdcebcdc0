"""Gradient accumulation, scan, remat and sharding do not change what a step computes."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from functools import cache

import pytest

from configs.config import Config
from parity.aef.check.training_setup import TRAINING
from parity.aef.training.steps import jax_steps, torch_steps
from parity.aef.training.trajectory import Trajectory, distances, trajectory_distance
from parity.comparison.tolerances import SHARDED_RATIO
from tests.support.paths import PROGRAMS, REPOSITORY
from tests.support.training_start import ALONE, batches, doubled, initial_snapshot

ON_MESHES = PROGRAMS / "run_on_meshes.py"
TINY = doubled(replace(ALONE, model=replace(ALONE.model, num_blocks=2)))

pytestmark = pytest.mark.usefixtures("one_thread", "quick_compiles")


@cache
def _by_torch(config: Config = TINY) -> Trajectory:
    return torch_steps(config, initial_snapshot(config), batches(config, 2))


@pytest.mark.slow
def test_gradient_accumulation_agrees_in_both_frameworks():
    config = doubled(replace(ALONE, training=replace(TRAINING, batch=4, grad_accum_steps=2)))
    far = trajectory_distance(jax_steps(config, initial_snapshot(config), batches(config, 2)), _by_torch(config))
    assert max(*far.last.values(), *far.first.values(), *(max(steps) for steps in far.terms.values())) < 1e-13


@pytest.mark.slow
@pytest.mark.parametrize(("block_loop", "remat"), [("unroll", "dots"), ("scan", "block")])
def test_gradients_are_independent_of_scan_and_remat(block_loop, remat):
    config = replace(TINY, model=replace(TINY.model, block_loop=block_loop, remat=remat))
    result = jax_steps(config, initial_snapshot(config), batches(config, 2))
    # after one step the first moment is a tenth of the gradient
    assert max(distances(result.first.exp_avg, _by_torch().first.exp_avg).values()) < 1e-13
    assert max(trajectory_distance(result, _by_torch()).last.values()) < 1e-13


@pytest.mark.slow
def test_every_mesh_of_eight_devices_equals_one_device():
    *double, single = _on_meshes()
    assert [result["mesh"] for result in double] == [[8, 1, 1], [2, 2, 2], [1, 8, 1]]
    assert [result["split"] > 0 for result in double] == [False, True, True]
    for result in double:
        assert result["loss"] < 1e-12, result
        assert result["gradient"] < 1e-12, result
        assert max(result["double"].values()) < 1e-12, result
    assert single["mesh"] == [2, 2, 2]
    assert single["ratio"] <= SHARDED_RATIO


def _on_meshes() -> list[dict]:
    path = os.pathsep.join(filter(None, (str(REPOSITORY), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": "8", "JAX_PLATFORMS": "cpu", "PYTHONPATH": path}
    done = subprocess.run([sys.executable, ON_MESHES], env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]
