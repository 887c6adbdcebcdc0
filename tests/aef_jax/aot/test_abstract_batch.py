"""Tests that the batch a step is compiled for has the shapes, dtypes and shardings of the pipeline's."""

from dataclasses import replace

import jax
import pytest

from aef_jax.aot.abstract_batch import abstract_batch
from aef_jax.sharding.mesh import make_mesh
from aef_jax.sharding.placement import to_devices
from configs.mesh import MeshConfig
from tests.support.data.small_site import CONFIG, small_stream

SMALL = replace(CONFIG, training=replace(CONFIG.training, steps=1, warmup_steps=0, batch=2))


def described(batch):
    return jax.tree.map(lambda x: (x.shape, x.dtype, x.sharding), batch)


@pytest.mark.parametrize("objective", [CONFIG.objective, replace(CONFIG.objective, text=0.0)])
def test_abstract_batch_matches_the_pipelines_batch(objective):
    config, mesh = replace(SMALL, objective=objective), make_mesh(MeshConfig(), jax.devices()[:1])
    real = next(small_stream(config))
    if not objective.text:
        real = real._replace(text=None)
    assert described(abstract_batch(config, mesh)) == described(to_devices(real, mesh))


def test_frames_are_padded_to_a_multiple_of_the_seq_axis():
    mesh = jax.sharding.AbstractMesh((1, 1, 4), ("data", "fsdp", "seq"))
    batch = abstract_batch(SMALL, mesh)
    frames = batch.frames["sentinel1"]
    assert frames.pixels.shape[1] == frames.bands.shape[1] == 12  # 10 frames
    assert frames.bands.sharding == frames.present.sharding
    assert batch.student["sentinel2"].index.shape[1] % 4 == 0
