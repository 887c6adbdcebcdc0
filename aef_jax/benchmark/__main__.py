"""The command: `python -m aef_jax.benchmark small --side 32 --frames 16 --batch 2`.

Each implementation has a process of its own; these are timed in turn, round by round, so that what disturbs the machine
disturbs all of them. Ratios are medians over the rounds.
"""

import argparse
import importlib.util
from collections.abc import Mapping

from aef_jax.benchmark.rounds import Measured, in_turn
from aef_jax.benchmark.size import sized, sized_parser
from aef_jax.benchmark.worker import Task
from configs.config import Config
from configs.serialization.config_json import to_json

IMPLEMENTATIONS = {
    "JAX": ("aef_jax.benchmark.jax_runs", "compiled"),
    "PyTorch, torch.compile": ("aef_torch.benchmark", "compiled"),
    "PyTorch, eager": ("aef_torch.benchmark", "eager"),
}
KINDS = ("forward", "training")


def parser() -> argparse.ArgumentParser:
    parser = sized_parser(__doc__)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    return parser


def main() -> None:
    """Prints a table for forward and for training."""
    options, config = sized(parser())
    frames = {source.name: source.frame_budget for source in config.input_sources}
    print(
        f"{options.what}: {options.batch} sequences of {frames},"
        f" tiles of {config.data.tile_side} pixels, {config.model.compute_dtype}"
    )
    for kind in options.kinds:
        try:
            measured = measure(kind, config, options.rounds)
        except ValueError as error:
            parser().error(str(error))
        print(table(kind, measured, options.batch * sum(frames.values())), flush=True)


def measure(kind: str, config: Config, rounds: int) -> dict[str, Measured]:
    """By implementation; PyTorch's are left out where it is not installed. Raises ValueError as `in_turn` does."""
    chosen = {
        name: Task(module, mode, kind, to_json(config))
        for name, (module, mode) in IMPLEMENTATIONS.items()
        if "torch" not in module or importlib.util.find_spec("torch")
    }
    return in_turn(chosen, rounds, kind)


def table(kind: str, measured: Mapping[str, Measured], frames: int) -> str:
    """Each implementation's speed, and how many times as fast as it JAX is."""
    lines = [f"\n{kind:24s}{'frames/s':>10s}{'s':>9s}{'first s':>9s}{'peak GB':>9s}{'JAX is':>9s}  device"]
    for name, of in measured.items():
        lines.append(
            f"{name:24s}{frames / of.seconds:10.1f}{of.seconds:9.3f}{of.ready.first_seconds:9.1f}"
            f"{of.peak_bytes / 1e9:9.2f}{of.times(measured['JAX']):8.2f}x  {of.ready.device}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
