"""A program: the first training steps on one device and on meshes of eight, a line of JSON each."""

import json
from dataclasses import replace

import jax
import numpy as np
from conftest import BRIEF
from jax.sharding import Mesh
from small_site import CONFIG, small_stream

from aef_jax import sharding
from aef_jax.step import init_state, make_train_step
from configs.training import MeshConfig

sharding.SMALLEST_SPLIT = 64  # all of so small a model would be replicated
STEPS = 2
config = replace(
    BRIEF,
    data=CONFIG.data,
    training=replace(BRIEF.training, batch=8, warmup_steps=1),
)
alone = Mesh(np.asarray(jax.devices()[:1]).reshape(1, 1), (sharding.DATA, sharding.FSDP))
meshes = [sharding.make_mesh(MeshConfig(data, fsdp)) for data, fsdp in ((4, 2), (1, 8))]
for mesh in (alone, *meshes):
    batches, step, state = (
        small_stream(config),
        make_train_step(config, mesh),
        init_state(config, mesh),
    )
    is_split = any(not leaf.sharding.is_fully_replicated for leaf in jax.tree.leaves(state.params))
    history = []
    for _ in range(STEPS):
        state, terms = step(state, sharding.to_devices(next(batches), mesh))
        history.append([float(terms["loss"]), float(terms["gradient_norm"])])
    print(json.dumps({"split": is_split, "history": history}), flush=True)
