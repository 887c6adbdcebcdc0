"""A program: computes CLIP and its gradients on one device and on two, and prints a line of JSON for each."""

import json
from functools import partial

import jax
import numpy as np

from aef_jax.sharding.mesh import make_mesh, replicated, sharding
from aef_jax.training import losses
from configs.mesh import MeshConfig

PAIRS, WIDTH = 6, 8

directions = np.random.default_rng(0).standard_normal((2, PAIRS, WIDTH)).astype(np.float32)
mu, text = directions / np.linalg.norm(directions, axis=-1, keepdims=True)
present = np.arange(PAIRS) != 1
for devices in (1, 2):
    mesh = make_mesh(MeshConfig(), jax.devices()[:devices])
    clip = jax.value_and_grad(partial(losses.clip, temperature=0.07), argnums=(0, 1))
    on_mesh = jax.jit(clip, in_shardings=sharding(mesh, "sequence"), out_shardings=replicated(mesh))
    value, gradients = on_mesh(mu, text, present)
    print(json.dumps({"value": value.tolist(), "gradients": np.asarray(gradients).tolist()}), flush=True)
