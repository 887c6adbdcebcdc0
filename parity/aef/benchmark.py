"""Measure how fast a preset's parameters and moments are converted and copied, and the peak memory."""

import argparse
import logging
import os
import shutil
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Shaped

from aef_jax.benchmark.process_memory import peak_bytes
from aef_jax.run.format import NEXT_EXAMPLE
from configs.config import Config
from configs.presets import PRESETS
from configs.serialization.config_json import to_json
from configs.serialization.printable import print_lines
from parity.aef.conversion.convert import convert
from parity.aef.conversion.metadata import CheckpointMetadata, Training
from parity.aef.conversion.optimizer_state import MOMENTS, OptimizerState
from parity.aef.conversion.torch_checkpoint import write_torch
from parity.aef.model import abstract_jax
from parity.mapping.weights import param_links

EXAMPLE = """example:
  python -m parity.aef.benchmark paper      needs four times the disk that parameters and moments take: 23 GB
"""


class Cost(NamedTuple):
    """Time and memory of one conversion."""

    seconds: float
    memory: int
    """Peak bytes of a process that does nothing else."""


def main() -> int:
    """Print the table.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("preset", nargs="?", default="paper", choices=sorted(PRESETS))
    parser.add_argument("--folder", type=Path, default=Path(), help="on the disk that is meant (here)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        print_lines(measure(PRESETS[options.preset], Path(folder)))
    return 0


def measure(config: Config, folder: Path) -> str:
    """Measure the conversions of a config.

    Args:
        config: a run's config.
        folder: an empty folder on the disk to measure.

    Returns:
        The table.
    """
    params = write_random(config, folder / "torch")
    everything = sum(path.stat().st_size for path in (folder / "torch").iterdir())
    copies, costs = [_copy(folder / "torch", folder / "copy")], {}
    for name, source, target in (("PyTorch to JAX", "torch", "run"), ("JAX to PyTorch", "run", "again")):
        costs[name] = _in_own_process(folder / source, folder / target)
        copies.append(_copy(folder / source, folder / "copy"))  # before and after each: the speed of disks varies
    lines = [
        f"parameters {params / 1e9:.2f} GB, with moments {everything / 1e9:.2f} GB",
        f"{'':18}{'GB/s':>7}{'of a copy':>11}{'peak GB':>9}{'of parameters':>15}",
        f"{'copies':18}{everything * len(copies) / sum(copies) / 1e9:7.2f}",
    ]
    for number, (name, cost) in enumerate(costs.items()):
        copying = (copies[number] + copies[number + 1]) / 2
        lines.append(
            f"{name:18}{everything / cost.seconds / 1e9:7.2f}{copying / cost.seconds:11.2f}"
            f"{cost.memory / 1e9:9.2f}{cost.memory / params:15.2f}"
        )
    return "\n".join(lines)


def write_random(config: Config, target: Path) -> int:
    """Write random parameters and moments as a folder of PyTorch's weights.

    Args:
        config: a run's config.
        target: the folder.

    Returns:
        Bytes of the parameters alone.
    """
    structure = abstract_jax(config)
    state = OptimizerState.of(config, structure)
    params = {link.name: link.spec for link in param_links(structure)}
    moments = {f"{moment}.{name}": spec for moment in MOMENTS for name, spec in params.items()}
    rng = np.random.default_rng(0)
    # each is a view into one block of noise: drawing all of them would take longer than converting
    noise = rng.standard_normal(2 * max(spec.nbytes for spec in params.values()) // 4, dtype=np.float32)

    def tensor(name: str) -> Shaped[np.ndarray, "..."]:
        spec = params[name] if name in params else moments[name]
        start = int(rng.integers(len(noise) // 2))
        return noise[start : start + spec.nbytes // spec.dtype.itemsize].reshape(spec.shape)

    training = Training(dict.fromkeys(state.counters, 0), {NEXT_EXAMPLE: 0}, {}, {})
    write_torch(target, CheckpointMetadata(to_json(config), None, 0, training), params, moments, tensor)
    return sum(spec.nbytes for spec in params.values())


def _copy(source: Path, target: Path) -> float:
    """Return the seconds until a copy is on the disk, which conversions wait for too. The copy is removed."""
    os.sync()
    start = time.perf_counter()
    shutil.copytree(source, target)
    for path in target.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    seconds = time.perf_counter() - start
    shutil.rmtree(target)
    return seconds


def _in_own_process(source: Path, target: Path) -> Cost:
    os.sync()
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_timed, source, target).result()


def _timed(source: Path, target: Path) -> Cost:
    logging.getLogger("absl").setLevel(logging.ERROR)
    start = time.perf_counter()
    convert(source, target)
    return Cost(time.perf_counter() - start, peak_bytes())


if __name__ == "__main__":
    sys.exit(main())
