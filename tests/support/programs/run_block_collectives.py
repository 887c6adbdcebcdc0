"""A program: prints as JSON what a training step of scanned, recomputed blocks sends between eight devices."""

import json
from collections import Counter
from dataclasses import replace

import jax

from aef_jax.aot.abstract_batch import abstract_batch
from aef_jax.aot.hlo.collectives import find_collectives
from aef_jax.sharding.mesh import make_mesh
from aef_jax.training.step import abstract_state, make_train_step
from configs.mesh import MeshConfig
from configs.sources import SENTINEL2
from tests.support.data.sample_batch import SHRUNK

BLOCKS = 3
jax.config.update("jax_disable_most_optimizations", True)
config = replace(
    SHRUNK,
    model=replace(SHRUNK.model, num_blocks=BLOCKS, block_loop="scan", remat="block"),
    sources=(replace(SENTINEL2, frame_budget=6, shift_invariant_m=0),),
    training=replace(SHRUNK.training, batch=8),
)
mesh = make_mesh(MeshConfig(data=4, seq=2))
compiled = make_train_step(config, mesh).lower(abstract_state(config, mesh), abstract_batch(config, mesh)).compile()
sent = find_collectives(compiled.as_text(), [(device.id,) for device in mesh.devices.flat])
counts = Counter()
for collective in sent:
    if collective.in_loop_of(BLOCKS):
        counts[collective.kind] += collective.times
print(json.dumps(counts))
