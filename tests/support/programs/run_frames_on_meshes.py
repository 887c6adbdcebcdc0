"""A program: joins, merges and splits frames on meshes of eight devices, and prints as JSON what moved."""

import json
import re

import jax
import numpy as np

from aef_jax.sharding.frames import join_frames, merge_frames, split_frames
from aef_jax.sharding.mesh import constrain, make_mesh, sharding, with_mesh
from configs.mesh import MeshConfig

parts = [
    np.random.default_rng(number).standard_normal((8, frames, 3)).astype(np.float32)
    for number, frames in ((0, 4), (1, 2))
]
for shape in ((8, 1, 1), (4, 1, 2), (2, 2, 2)):
    mesh = make_mesh(MeshConfig(*shape))

    def there_and_back(parts):
        joined = constrain(join_frames(parts), "sequence", "frame")
        merged = merge_frames(joined)
        return joined, merged, split_frames(merged, len(joined))

    on = sharding(mesh, "sequence", "frame")
    compiled = jax.jit(with_mesh(mesh, there_and_back)).lower([jax.device_put(part, on) for part in parts]).compile()
    joined, merged, back = map(np.asarray, compiled([jax.device_put(part, on) for part in parts]))
    moved = re.findall(r"all-to-all|all-gather|all-reduce|collective-permute", compiled.as_text())
    expected = np.concatenate(parts, axis=1)
    same = [np.sort(x.reshape(8, 6, 3), axis=1) for x in (joined, expected)]
    print(
        json.dumps(
            {
                "moved": moved,
                "joined": bool(np.array_equal(*same)),
                "merged": bool(np.array_equal(np.sort(merged, axis=0), np.sort(joined.reshape(48, 3), axis=0))),
                "back": bool(np.array_equal(back, joined)),
            }
        )
    )
