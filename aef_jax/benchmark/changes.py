"""Measure what each setting of the step gains: `python -m aef_jax.benchmark.changes small --side 32 --frames 16`.

Every row is the training step with one setting changed, relative to the unchanged step: the operations by the formulas
of configs/flops.py, the time of a TPU chip by the roofline of `aef compile` (without collectives), and the time of this
machine, measured in turn with the unchanged step. Ratios are medians over the rounds.
"""

import argparse
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from aef_jax.aot.abstract_batch import abstract_batch
from aef_jax.aot.cost.chips import CHIPS
from aef_jax.aot.cost.parameters import operator_weights
from aef_jax.aot.cost.roofline import Roofline, compute_roofline
from aef_jax.benchmark.rounds import Measurement, time_in_turn
from aef_jax.benchmark.size import parse_sized, sized_parser
from aef_jax.benchmark.worker import Task
from aef_jax.console.tables import format_table
from aef_jax.sharding.mesh import DATA, FSDP, SEQ, mesh_shape, single_device_mesh
from configs.config import Config
from configs.serialization.config_json import to_json
from configs.serialization.printable import print_lines

BASELINE = "unchanged"


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line.

    Returns:
        The parser.
    """
    parser = sized_parser(__doc__)
    parser.add_argument("--chip", choices=CHIPS, default="v4", help="chip whose roofline is computed (default: v4)")
    parser.add_argument("--chips", type=int, default=1, help="number of these chips (default: 1)")
    parser.add_argument("--only-predict", action="store_true", help="do not time this machine")
    return parser


def main() -> None:
    """Print the table."""
    options, config = parse_sized(make_parser())
    configs = {BASELINE: config, **alternatives(config)}
    step = partial(Task, "aef_jax.benchmark.jax_runs", "compiled", "training")
    measured = {}
    try:
        predicted = {name: predict(each, options.chip, options.chips) for name, each in configs.items()}
        if not options.only_predict:
            tasks = {name: step(to_json(each)) for name, each in configs.items()}
            measured = time_in_turn(tasks, options.rounds, "changes")
    except ValueError as error:
        make_parser().error(str(error))
    print_lines(table(options.chip, predicted, measured))


def alternatives(config: Config) -> dict[str, Config]:
    """List configs with one setting changed each.

    Args:
        config: the unchanged one.

    Returns:
        Configs by a description of the change. Changes that the config already has are left out.
    """
    model = config.model
    all_frames = tuple(replace(source, frame_drop=0.0) for source in config.sources)
    changed = {
        "no frames dropped for the student": replace(config, sources=all_frames),
        **{f"remat {remat}": replace(config, model=replace(model, remat=remat)) for remat in ("none", "dots", "block")},
        **{f"blocks: {loop}": replace(config, model=replace(model, block_loop=loop)) for loop in ("scan", "unroll")},
        **{dtype: replace(config, model=replace(model, compute_dtype=dtype)) for dtype in ("float32", "bfloat16")},
    }
    return {name: other for name, other in changed.items() if other != config}


def predict(config: Config, chip: str, chips: int) -> Roofline:
    """Compute the roofline of a training step with full frame budgets, without collectives.

    Args:
        config: of the training run.
        chip: name of the chip.
        chips: number of chips that the step is split over.

    Returns:
        The roofline of one chip.

    Raises:
        ValueError: if the config's mesh does not have this number of devices.
    """
    data, fsdp, seq = mesh_shape(config.mesh, chips)
    mesh = {str(DATA): data, str(FSDP): fsdp, str(SEQ): seq}
    return compute_roofline(
        config, abstract_batch(config, single_device_mesh()), operator_weights(config), mesh, CHIPS[chip], ()
    )


def table(chip: str, predicted: Mapping[str, Roofline], measured: Mapping[str, Measurement]) -> str:
    """Format the cost of each config relative to the first one.

    Args:
        chip: name of the chip of the predictions.
        predicted: rooflines by config.
        measured: measurements on this machine by config; may be empty.

    Returns:
        Lines of text.
    """
    base, *_ = predicted
    rows = [("", "FLOPs", f"{chip} ms", "", *(("here s", "", "peak GB", "device") if measured else ()))]
    for name, roofline in predicted.items():
        flops, seconds = roofline.flops / predicted[base].flops, roofline.seconds / predicted[base].seconds
        row = name, f"{flops:.2f}x", f"{1e3 * roofline.seconds:.1f}", f"{seconds:.2f}x"
        if name in measured:
            result = measured[name]
            ratio, gigabytes = result.ratio_to(measured[base]), result.peak_bytes / 1e9
            row += f"{result.seconds:.3f}", f"{ratio:.2f}x", f"{gigabytes:.2f}", result.ready.device
        rows.append(row)
    return "\n".join(["", *format_table(rows, "<>>>>>><")])


if __name__ == "__main__":
    main()
