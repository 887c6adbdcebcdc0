"""A program: one of the processes of a run, each with some of its devices.

Arguments: coordinator, processes, which of them, devices of each, config file, folder; then what `train` takes.
"""

import sys
from pathlib import Path

import jax

from aef_jax.data.training_data import open_data
from aef_jax.distributed import join
from aef_jax.run_folder import RunFolder
from aef_jax.train import train
from configs.io import from_json

coordinator, processes, process, devices, config_file, folder = sys.argv[1:]
jax.config.update("jax_num_cpu_devices", int(devices))
if int(processes) > 1:
    join(coordinator, int(processes), int(process))
config = from_json(Path(config_file).read_text())
done = train(config, RunFolder(Path(folder)), open_data(config))
print(f"done {done}", flush=True)
