"""What each choice of how a step is computed gains: `python -m aef_jax.benchmark.changes small --side 32 --frames 16`.

Every row is the training step with one choice made otherwise: how much more it computes by the formulas of
configs/cost.py, and how much longer it takes on this machine, timed in turn with the step as it is. Ratios are medians
over the rounds.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import median

from aef_jax.benchmark.rounds import Measured, in_turn
from aef_jax.benchmark.size import sized, sized_parser
from aef_jax.benchmark.worker import Task
from configs.cost import training_flops
from configs.io import to_json
from configs.run import Config

AS_IT_IS = "the step as it is"


def main() -> None:
    """Prints the table."""
    options, config = sized(sized_parser(__doc__))
    configs = {AS_IT_IS: config, **alternatives(config)}
    with tempfile.TemporaryDirectory() as folder:
        tasks = {}
        for place, (name, of) in enumerate(configs.items()):
            path = Path(folder) / f"{place}.json"
            path.write_text(to_json(of))
            tasks[name] = Task("aef_jax.benchmark.jax_runs", "compiled", "training", str(path))
        print(table(configs, in_turn(tasks, options.rounds, "changes")))


def alternatives(config: Config) -> dict[str, Config]:
    """The config with one choice made otherwise each, by what that is."""
    model = config.model
    all_frames = tuple(replace(source, frame_drop=0.0) for source in config.sources)
    found = {
        "the student has a place for every frame": replace(config, sources=all_frames),
        **{f"remat {remat}": replace(config, model=replace(model, remat=remat)) for remat in ("none", "dots", "block")},
        **{f"blocks: {loop}": replace(config, model=replace(model, block_loop=loop)) for loop in ("scan", "unroll")},
    }
    return {name: other for name, other in found.items() if other != config}


def step_flops(config: Config) -> int:
    """Of one sequence of a training step with full budgets."""
    inputs = config.input_sources
    frames = {source.name: source.frame_budget for source in inputs}
    student = {source.name: source.student_budget for source in inputs}
    targets = tuple(source.name for source in config.decoded_sources)
    return sum(training_flops(config, frames, student, targets, config.has_text).values())


def table(configs: Mapping[str, Config], measured: Mapping[str, Measured]) -> str:
    """A line for each, with what it costs in proportion to the first."""
    (base, *_) = configs
    lines = [f"\n{'':42s}{'s':>9s}{'peak GB':>9s}{'FLOPs':>8s}{'measured':>10s}  device"]
    for name, config in configs.items():
        seconds, peak = measured[name].seconds, max(timed.peak_bytes for timed in measured[name].rounds) / 1e9
        slower = median(one / other for one, other in zip(seconds, measured[base].seconds, strict=True))
        lines.append(
            f"{name:42s}{median(seconds):9.3f}{peak:9.2f}{step_flops(config) / step_flops(configs[base]):7.2f}x"
            f"{slower:9.2f}x  {measured[name].ready.device}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
