"""A program: one of two hosts that train a run together. Arguments: coordinator, which host, config file, folder."""

import sys
from pathlib import Path

import jax

from aef_jax.data.sample import load_sample, split_sample
from aef_jax.run_folder import RunFolder
from aef_jax.train import train
from configs.io import from_json

coordinator, host, config_file, folder = sys.argv[1:]
jax.distributed.initialize(coordinator, num_processes=2, process_id=int(host))
whole = load_sample()
train(from_json(Path(config_file).read_text()), RunFolder(Path(folder)), whole, split_sample(whole))
