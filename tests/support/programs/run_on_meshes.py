"""Train 20 steps on meshes of all eight devices and on one of them; print the differences as a line of JSON each."""

import json
from dataclasses import replace

import jax

from aef_jax.sharding import mesh as sharding
from configs.mesh import MeshConfig
from parity.aef.check.training_setup import TRAINING
from parity.aef.conversion.jax_state import to_jax
from parity.aef.training.sharded import OneDevice
from tests.support.training_start import ALONE, batches, initial_snapshot

STEPS = 20
MESHES = [(8, 1, 1), (2, 2, 2), (1, 8, 1)]
OF_ALL = 1
"""The one that splits along all axes: compared in float32 too."""

jax.config.update("jax_disable_most_optimizations", True)
sharding.SMALLEST_SPLIT = 64  # all of so small a model would be replicated
config = replace(ALONE, training=replace(TRAINING, batch=8, warmup_steps=1))
meshes = [sharding.make_mesh(MeshConfig(*shape)) for shape in MESHES]
few = batches(config, 4)
steps = [few[step % len(few)] for step in range(STEPS)]
alone = OneDevice(config, initial_snapshot(config), steps)
for mesh in meshes:
    params, distance = jax.tree.leaves(to_jax(initial_snapshot(config), config, mesh).params), alone.double(mesh)
    summary = {
        "mesh": list(mesh.shape.values()),
        "loss": max(distance.terms["loss"]),
        "gradient": distance.first["exp_avg"],  # after one step a tenth of it
        "double": distance.last,
        "split": sum(not leaf.sharding.is_fully_replicated for leaf in params),
    }
    print(json.dumps(summary), flush=True)
print(json.dumps({"mesh": list(meshes[OF_ALL].shape.values()), "ratio": alone.ratio(meshes[OF_ALL])}), flush=True)
