"""A program: one of two hosts that train a run together. Arguments: coordinator, which host, config file, folder."""

import sys
from pathlib import Path

import jax

from aef_jax.data.training_data import open_data
from aef_jax.run_folder import RunFolder
from aef_jax.train import train
from configs.io import from_json

coordinator, host, config_file, folder = sys.argv[1:]
jax.distributed.initialize(coordinator, num_processes=2, process_id=int(host))

config = from_json(Path(config_file).read_text())
train(config, RunFolder(Path(folder)), open_data(config))
