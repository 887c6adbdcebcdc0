"""A program: two steps on a mesh of all devices against one of them; what was found, as JSON."""

import json
from dataclasses import asdict, replace

import jax
from training_start import ALONE, batches, start_of

from aef_jax import sharding
from configs.training import MeshConfig
from parity.aef.check.course import COURSE
from parity.aef.jax_state import to_jax
from parity.aef.sharded import sharded

jax.config.update("jax_disable_most_optimizations", True)
sharding.SMALLEST_SPLIT = 64  # all of so small a model would be replicated
config = replace(ALONE, training=replace(COURSE, batch=8, warmup_steps=1))
mesh = sharding.make_mesh(MeshConfig(data=4, fsdp=2))
found = sharded(config, start_of(config), batches(config, 3), mesh)
split = any(not x.sharding.is_fully_replicated for x in jax.tree.leaves(to_jax(start_of(config), config, mesh).params))
print(json.dumps({**asdict(found), "ratio": found.ratio, "devices": mesh.size, "split": split}))
