"""A program: one of two hosts of a run, of which one's listing of the checkpoints is old.

Arguments: coordinator, which of them, config file, a run that both see, and one of which the second host sees less.
Prints, as JSON, the latest step where the first's is old, where the second's is, where another was saved, and what is
said of the other run.
"""

import json
import sys
from pathlib import Path

import orbax.checkpoint as ocp

from aef_jax.data.loading.training_data import open_data
from aef_jax.run.checkpoint import Checkpointer
from aef_jax.run.folder import RunFolder
from aef_jax.sharding import distributed
from aef_jax.sharding.mesh import make_mesh
from aef_jax.training.step import abstract_state
from configs.serialization.config_json import from_json

coordinator, process, config_file, shared, own = sys.argv[1:]
distributed.join(coordinator, 2, int(process))
config = from_json(Path(config_file).read_text())
about, found = open_data(config).about, []
latest = ocp.CheckpointManager.latest_step


def checkpointer(folder: str) -> Checkpointer:
    run = RunFolder(Path(folder))
    return Checkpointer(run, config, run.read_normalization(), about)


for blind in (0, 1):
    ocp.CheckpointManager.latest_step = (lambda _: None) if int(process) == blind else latest
    opened = checkpointer(shared)
    found.append(opened.latest_step)
state = opened.restore(abstract_state(config, make_mesh(config.mesh)))
opened.save(state)  # which is there already
opened.save(state._replace(step=state.step + 1))
opened.close()
found.append(opened.latest_step)

ocp.CheckpointManager.latest_step = latest
distributed.VISIBILITY_TIMEOUT_S = 1
try:
    checkpointer(own)
except ValueError as error:
    print(json.dumps([*found, str(error)]))
