"""A program: one of two hosts that try to train in a folder that they do not share.

Arguments: coordinator, number of this host, config file, a folder that both share, a folder that they do not share.
"""

import sys
from pathlib import Path

from aef_jax.data.loading.training_data import open_data
from aef_jax.run.folder import RunFolder
from aef_jax.sharding import distributed
from aef_jax.training.loop import train
from configs.serialization.config_json import from_json

coordinator, process, config_file, shared, own = sys.argv[1:]
distributed.join(coordinator, 2, int(process))
distributed.VISIBILITY_TIMEOUT_S = 1
distributed.check_shared(Path(shared))
config = from_json(Path(config_file).read_text())
try:
    train(config, RunFolder(Path(own)), open_data(config))
except (ValueError, OSError) as error:
    print(error)
