"""Compare JAX and PyTorch: `python -m aef_jax.benchmark small --side 32 --frames 16 --batch 2`.

Each implementation runs in its own process. The processes are timed in turn, round by round, so that whatever disturbs
the machine disturbs all of them. Ratios are medians over the rounds.
"""

import argparse
import importlib.util
from collections.abc import Mapping

from aef_jax.benchmark.rounds import Measurement, time_in_turn
from aef_jax.benchmark.size import parse_sized, sized_parser
from aef_jax.benchmark.worker import Task
from aef_jax.console.tables import format_table
from configs.config import Config
from configs.serialization.config_json import to_json
from configs.serialization.printable import print_lines

IMPLEMENTATIONS = {
    "JAX": ("aef_jax.benchmark.jax_runs", "compiled"),
    "PyTorch, torch.compile": ("aef_torch.benchmark", "compiled"),
    "PyTorch, eager": ("aef_torch.benchmark", "eager"),
}
KINDS = ("forward", "training")


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line.

    Returns:
        The parser.
    """
    parser = sized_parser(__doc__)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    return parser


def main() -> None:
    """Print a table for forward and one for training."""
    options, config = parse_sized(make_parser())
    frames = {source.name: source.frame_budget for source in config.input_sources}
    print_lines(
        f"{options.what}: {options.batch} sequences of {frames},"
        f" tiles of {config.data.tile_side} pixels, {config.model.compute_dtype}"
    )
    for kind in options.kinds:
        try:
            measured = measure(kind, config, options.rounds)
        except ValueError as error:
            make_parser().error(str(error))
        print_lines(table(kind, measured, options.batch * sum(frames.values())))


def measure(kind: str, config: Config, rounds: int) -> dict[str, Measurement]:
    """Time every implementation. PyTorch is left out if it is not installed.

    Args:
        kind: of work, one of `KINDS`.
        config: of the model and its inputs.
        rounds: number of rounds in which each implementation is timed once.

    Returns:
        Measurements by implementation.

    Raises:
        ValueError: if the work of one implementation cannot be done.
    """
    tasks = {
        name: Task(module, mode, kind, to_json(config))
        for name, (module, mode) in IMPLEMENTATIONS.items()
        if "torch" not in module or importlib.util.find_spec("torch")
    }
    return time_in_turn(tasks, rounds, kind)


def table(kind: str, measured: Mapping[str, Measurement], frames: int) -> str:
    """Format the speed of each implementation and JAX's speedup over it.

    Args:
        kind: of work, one of `KINDS`.
        measured: by implementation.
        frames: number of frames that one run processes.

    Returns:
        Lines of text.
    """
    rows = [(kind, "frames/s", "s", "first s", "peak GB", "JAX is", "device")]
    for name, result in measured.items():
        rows.append(
            (
                name,
                f"{frames / result.seconds:.1f}",
                f"{result.seconds:.3f}",
                f"{result.ready.first_seconds:.1f}",
                f"{result.peak_bytes / 1e9:.2f}",
                f"{result.ratio_to(measured['JAX']):.2f}x",
                result.ready.device,
            )
        )
    return "\n".join(["", *format_table(rows, "<>>>>><")])


if __name__ == "__main__":
    main()
