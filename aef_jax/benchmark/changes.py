"""What each choice of how a step is computed gains: `python -m aef_jax.benchmark.changes small --side 32 --frames 16`.

Every row is the training step with one choice made otherwise: how much more it computes by the formulas of
configs/flops.py, how much longer a TPU chip would take by the roofline of `aef compile` (without collectives), and how
much longer this machine takes, timed in turn with the step as it is. Ratios are medians over the rounds.
"""

import argparse
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from aef_jax.aot.abstract_batch import abstract_batch
from aef_jax.aot.cost.chips import CHIPS
from aef_jax.aot.cost.parameters import operator_weights
from aef_jax.aot.cost.roofline import Roofline, compute_roofline
from aef_jax.benchmark.rounds import Measured, in_turn
from aef_jax.benchmark.size import sized, sized_parser
from aef_jax.benchmark.worker import Task
from aef_jax.sharding.mesh import DATA, FSDP, SEQ, mesh_shape, single_device_mesh
from configs.config import Config
from configs.serialization.config_json import to_json

AS_IT_IS = "the step as it is"


def parser() -> argparse.ArgumentParser:
    parser = sized_parser(__doc__)
    parser.add_argument("--chip", choices=CHIPS, default="v4", help="whose roofline predicts (default: v4)")
    parser.add_argument("--chips", type=int, default=1, help="that it would run on (default: 1)")
    parser.add_argument("--only-predict", action="store_true", help="time nothing here")
    return parser


def main() -> None:
    """Prints the table."""
    options, config = sized(parser())
    configs = {AS_IT_IS: config, **alternatives(config)}
    step = partial(Task, "aef_jax.benchmark.jax_runs", "compiled", "training")
    measured = {}
    try:
        predicted = {name: on_chips(of, options.chip, options.chips) for name, of in configs.items()}
        if not options.only_predict:
            measured = in_turn({name: step(to_json(of)) for name, of in configs.items()}, options.rounds, "changes")
    except ValueError as error:
        parser().error(str(error))
    print(table(options.chip, predicted, measured))


def alternatives(config: Config) -> dict[str, Config]:
    """The config with one choice made otherwise each, by what that is."""
    model = config.model
    all_frames = tuple(replace(source, frame_drop=0.0) for source in config.sources)
    found = {
        "the student has a place for every frame": replace(config, sources=all_frames),
        **{f"remat {remat}": replace(config, model=replace(model, remat=remat)) for remat in ("none", "dots", "block")},
        **{f"blocks: {loop}": replace(config, model=replace(model, block_loop=loop)) for loop in ("scan", "unroll")},
        **{dtype: replace(config, model=replace(model, compute_dtype=dtype)) for dtype in ("float32", "bfloat16")},
    }
    return {name: other for name, other in found.items() if other != config}


def on_chips(config: Config, chip: str, chips: int) -> Roofline:
    """Of a training step with full budgets, split over so many chips; without collectives.

    Raises ValueError where the config's mesh does not make so many.
    """
    data, fsdp, seq = mesh_shape(config.mesh, chips)
    mesh = {str(DATA): data, str(FSDP): fsdp, str(SEQ): seq}
    return compute_roofline(
        config, abstract_batch(config, single_device_mesh()), operator_weights(config), mesh, CHIPS[chip], ()
    )


def table(chip: str, predicted: Mapping[str, Roofline], measured: Mapping[str, Measured]) -> str:
    """A line for each, with what it costs in proportion to the first; `measured` may be empty."""
    base, *_ = predicted
    header = f"\n{'':42s}{'FLOPs':>9s}{f'{chip} ms':>10s}{'':9s}"
    lines = [header + (f"{'here s':>9s}{'':9s}{'peak GB':>9s}  device" if measured else "")]
    for name, on_chip in predicted.items():
        line = f"{name:42s}{on_chip.flops / predicted[base].flops:8.2f}x{1e3 * on_chip.seconds:10.1f}"
        line += f"{on_chip.seconds / predicted[base].seconds:8.2f}x"
        if name in measured:
            of = measured[name]
            line += f"{of.seconds:9.3f}{of.times(measured[base]):8.2f}x{of.peak_bytes / 1e9:9.2f}  {of.ready.device}"
        lines.append(line)
    return "\n".join(lines)


if __name__ == "__main__":
    main()
