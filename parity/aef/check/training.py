"""Section `training`: the same steps in both frameworks, in float64 and in float32, and what rounding alone does."""

from collections.abc import Sequence

import numpy as np

from parity.aef.check.check_input import CheckInput
from parity.aef.check.settings import Settings
from parity.aef.check.training_setup import batches, one_ulp_up, start_of, training_setup
from parity.aef.training.steps import jax_steps, torch_steps
from parity.aef.training.trajectory import Trajectory, TrajectoryDistance, apart
from parity.comparison.metrics import error_ratio, rounding
from parity.comparison.tolerances import CHAOS_RATIO
from parity.report.report import Chart, Check, Section

ONE_STEP = 1e-13
FLOAT64 = 1e-12
SINGLE = ("JAX float32", "PyTorch float32")
TWINS = ("JAX float32, one ULP off", "PyTorch float32, one ULP off")
LOSSES, PARAMETERS = 1e-6, 5e-7
"""In float32, of each step's loss and of all parameters after the last."""


def training(check_input: CheckInput, settings: Settings) -> Section:
    """Losses, parameters and Adam's moments, after one step and after all."""
    section = Section("training", f"Training, {settings.steps} steps, JAX from PyTorch")
    runs = {}
    for name in settings.progress(["JAX float64", "PyTorch float64", *SINGLE, *TWINS], "training"):
        runs[name] = _run(check_input, name, settings.steps)
    double, single = apart(runs["JAX float64"], runs["PyTorch float64"]), apart(*(runs[name] for name in SINGLE))
    twins = [apart(runs[name], runs[name.partition(",")[0]]) for name in TWINS]
    section.checks += [*_in_float64(double, 2 * settings.steps), *_in_float32(single, twins, settings.steps)]
    section.charts += [_losses(runs), _drift(single, twins)]
    return section


def _run(check_input: CheckInput, name: str, steps: int) -> Trajectory:
    (framework, dtype), nudged = name.partition(",")[0].split(), "," in name
    config, start = training_setup(check_input, dtype), start_of(check_input)
    given = batches(config, 2 * steps if dtype == "float64" else steps)
    run = jax_steps if framework == "JAX" else torch_steps
    return run(config, one_ulp_up(start) if nudged else start, given)


def _in_float64(far: TrajectoryDistance, steps: int) -> list[Check]:
    one, all_ = "one step of the same program", f"{steps} steps, through which differences of the last digit grow"
    worst = max(far.terms, key=lambda term: max(far.terms[term]))
    return [
        *(Check(f"float64, {kind} after 1 step", value, ONE_STEP, one) for kind, value in far.first.items()),
        *(Check(f"float64, {kind} after {steps} steps", value, FLOAT64, all_) for kind, value in far.last.items()),
        Check(f"float64, {worst} of any step", max(far.terms[worst]), FLOAT64, f"the worst term of any; {all_}"),
    ]


def _in_float32(far: TrajectoryDistance, twins: Sequence[TrajectoryDistance], steps: int) -> list[Check]:
    chaos = "as a multiple of what one ULP at the start does within one framework: training is chaotic, not JAX"
    at_end = {kind: (value, max(twin.last[kind] for twin in twins)) for kind, value in far.last.items()}
    return [
        Check(f"float32, loss of any of {steps} steps", max(far.terms["loss"]), LOSSES, "a mean of many roundings"),
        Check(f"float32, params after {steps} steps", far.last["params"], PARAMETERS, "a few ULP of float32"),
        *(
            Check(f"float32, {kind} after {steps} steps, over the twins'", over(value, twin), CHAOS_RATIO, chaos)
            for kind, (value, twin) in at_end.items()
        ),
        Check("float32, loss of any step, over the twins' so far", worst_over(far, twins), CHAOS_RATIO, chaos),
    ]


def over(value: float, control: float) -> float:
    """The one as a multiple of the other; neither counted below what is mere rounding."""
    return error_ratio(value, control, rounding("float32"))


def worst_over(far: TrajectoryDistance, twins: Sequence[TrajectoryDistance], term: str = "loss") -> float:
    """The most that a term of any step was apart, as a multiple of the most that it was for any twin by then."""
    so_far = np.maximum.accumulate(np.max([twin.terms[term] for twin in twins], axis=0))
    return max(over(value, control) for value, control in zip(far.terms[term], so_far.tolist(), strict=True))


def _losses(runs: dict[str, Trajectory]) -> Chart:
    lines = {name: [terms["loss"] for terms in runs[name].terms] for name in SINGLE}
    return Chart("the loss, in float32", "step", "loss", lines)


def _drift(single: TrajectoryDistance, twins: Sequence[TrajectoryDistance]) -> Chart:
    lines = {"JAX from PyTorch": single.terms["loss"]}
    lines |= {name: twin.terms["loss"] for name, twin in zip(TWINS, twins, strict=True)}
    return Chart("how far two runs' float32 losses are apart", "step", "relative difference", lines)
