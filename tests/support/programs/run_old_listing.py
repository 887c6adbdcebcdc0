"""A program: one of two hosts of a run, one of which has an old listing of the checkpoints.

Arguments: coordinator, number of this host, config file, a run that both hosts see, and a run whose checkpoints the
second host does not see. Prints as JSON the latest step if the first host's listing is old, if the second host's is,
and after another save; and the error for the other run.
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
data, steps = open_data(config).data_fingerprint, []
latest = ocp.CheckpointManager.latest_step


def checkpointer(folder: str) -> Checkpointer:
    run = RunFolder(Path(folder))
    return Checkpointer(run, config, run.read_normalization(), data)


for blind in (0, 1):
    ocp.CheckpointManager.latest_step = (lambda _: None) if int(process) == blind else latest
    opened = checkpointer(shared)
    steps.append(opened.latest_step)
state = opened.restore(abstract_state(config, make_mesh(config.mesh)))
opened.save(state)  # it exists already
opened.save(state._replace(step=state.step + 1))
opened.close()
steps.append(opened.latest_step)

ocp.CheckpointManager.latest_step = latest
distributed.VISIBILITY_TIMEOUT_S = 1
try:
    checkpointer(own)
except ValueError as error:
    print(json.dumps([*steps, str(error)]))
