"""Training on a GPU equals training on the CPU of the same machine. Skipped without a GPU."""

from dataclasses import replace

import jax
import pytest

from aef_jax.sharding.mesh import make_mesh
from configs.mesh import MeshConfig
from parity.aef.check.training_setup import TRAINING
from parity.aef.training.sharded import OneDevice
from parity.comparison.tolerances import TOLERANCES
from tests.support.training_start import ALONE, batches, initial_snapshot

STEPS = 20
CONFIG = replace(ALONE, training=replace(TRAINING, warmup_steps=1))


def _mesh_of(platform: str) -> jax.sharding.Mesh:
    return make_mesh(MeshConfig(), jax.devices(platform)[:1])


@pytest.fixture(scope="module")
def gpu() -> jax.sharding.Mesh:
    try:
        return _mesh_of("gpu")
    except RuntimeError:
        pytest.skip("there is no GPU that JAX can use")


@pytest.fixture(scope="module")
def on_cpu(gpu) -> OneDevice:
    few = batches(CONFIG, 4)
    return OneDevice(CONFIG, initial_snapshot(CONFIG), [few[step % len(few)] for step in range(STEPS)], _mesh_of("cpu"))


def test_float64_training_on_a_gpu_equals_a_cpu(gpu, on_cpu):
    far = on_cpu.double(gpu)
    assert max(far.terms["loss"]) < 1e-12
    assert max(far.first.values()) < 1e-12  # after one step the first moment is a tenth of the gradient
    assert max(far.last.values()) < 1e-12


def test_float32_error_on_a_gpu_is_no_larger_than_on_a_cpu(gpu, on_cpu):
    assert on_cpu.ratio(gpu) < TOLERANCES["float32"].ratio
