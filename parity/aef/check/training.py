"""Section `training`: the same steps in both frameworks, in float64 and float32, and what rounding alone changes."""

from collections.abc import Sequence

import numpy as np

from parity.aef.check.check_input import CheckInput
from parity.aef.check.settings import Settings
from parity.aef.check.training_setup import initial_snapshot, make_batches, one_ulp_up, training_setup
from parity.aef.training.steps import jax_steps, torch_steps
from parity.aef.training.trajectory import Trajectory, TrajectoryDistance, trajectory_distance
from parity.comparison.metrics import error_ratio, rounding_error
from parity.comparison.tolerances import CHAOS_RATIO
from parity.report.report import Chart, Check, Section

ONE_STEP = 1e-13
FLOAT64 = 1e-12
FLOAT32_RUNS = ("JAX float32", "PyTorch float32")
NUDGED = ("JAX float32, one ULP off", "PyTorch float32, one ULP off")
LOSSES, PARAMETERS = 1e-6, 5e-7
"""Float32 bounds on each step's loss and on all parameters after the last step."""


def training(check_input: CheckInput, settings: Settings) -> Section:
    """Compare losses, parameters and Adam's moments, after one step and after all.

    Args:
        check_input: What is compared.
        settings: How.

    Returns:
        The section.
    """
    section = Section("training", f"Training, {settings.steps} steps, JAX from PyTorch")
    runs = {}
    for name in settings.progress(["JAX float64", "PyTorch float64", *FLOAT32_RUNS, *NUDGED], "training"):
        runs[name] = _run(check_input, name, settings.steps)
    double, single = (
        trajectory_distance(runs["JAX float64"], runs["PyTorch float64"]),
        trajectory_distance(*(runs[name] for name in FLOAT32_RUNS)),
    )
    nudged = [trajectory_distance(runs[name], runs[name.partition(",")[0]]) for name in NUDGED]
    section.checks += [*_in_float64(double, 2 * settings.steps), *_in_float32(single, nudged, settings.steps)]
    section.charts += [_losses(runs), _drift(single, nudged)]
    return section


def _run(check_input: CheckInput, name: str, steps: int) -> Trajectory:
    (framework, dtype), nudged = name.partition(",")[0].split(), "," in name
    config, start = training_setup(check_input, dtype), initial_snapshot(check_input)
    given = make_batches(config, 2 * steps if dtype == "float64" else steps)
    run = jax_steps if framework == "JAX" else torch_steps
    return run(config, one_ulp_up(start) if nudged else start, given)


def _in_float64(far: TrajectoryDistance, steps: int) -> list[Check]:
    first, every = "one step of the same program", f"{steps} steps, during which rounding differences grow"
    worst = max(far.terms, key=lambda term: max(far.terms[term]))
    return [
        *(Check(f"float64, {kind} after 1 step", value, ONE_STEP, first) for kind, value in far.first.items()),
        *(Check(f"float64, {kind} after {steps} steps", value, FLOAT64, every) for kind, value in far.last.items()),
        Check(f"float64, {worst} of any step", max(far.terms[worst]), FLOAT64, f"the worst term of any; {every}"),
    ]


def _in_float32(far: TrajectoryDistance, nudged: Sequence[TrajectoryDistance], steps: int) -> list[Check]:
    chaos = "relative to the drift of two runs of one framework whose initial parameters differ by one ULP"
    at_end = {kind: (value, max(control.last[kind] for control in nudged)) for kind, value in far.last.items()}
    return [
        Check(f"float32, loss of any of {steps} steps", max(far.terms["loss"]), LOSSES, "a mean of many roundings"),
        Check(f"float32, params after {steps} steps", far.last["params"], PARAMETERS, "a few ULP of float32"),
        *(
            Check(
                f"float32, {kind} after {steps} steps, relative to rounding drift",
                drift_ratio(value, control),
                CHAOS_RATIO,
                chaos,
            )
            for kind, (value, control) in at_end.items()
        ),
        Check(
            "float32, loss of any step, relative to rounding drift so far",
            max_drift_ratio(far, nudged),
            CHAOS_RATIO,
            chaos,
        ),
    ]


def drift_ratio(value: float, control: float) -> float:
    """Divide a distance by that of a control run, both counted from the rounding error up.

    Args:
        value: The distance between frameworks.
        control: The distance between two runs of one framework.

    Returns:
        The ratio.
    """
    return error_ratio(value, control, rounding_error("float32"))


def max_drift_ratio(far: TrajectoryDistance, nudged: Sequence[TrajectoryDistance], term: str = "loss") -> float:
    """Find the largest ratio, over all steps, of a term's distance to the largest of any control run up to that step.

    Args:
        far: The distance between frameworks.
        nudged: The distances between runs of one framework whose initial parameters differ by one ULP.
        term: The term.

    Returns:
        The ratio.
    """
    so_far = np.maximum.accumulate(np.max([control.terms[term] for control in nudged], axis=0))
    return max(drift_ratio(value, control) for value, control in zip(far.terms[term], so_far.tolist(), strict=True))


def _losses(runs: dict[str, Trajectory]) -> Chart:
    lines = {name: [terms["loss"] for terms in runs[name].terms] for name in FLOAT32_RUNS}
    return Chart("the loss, in float32", "step", "loss", lines)


def _drift(single: TrajectoryDistance, nudged: Sequence[TrajectoryDistance]) -> Chart:
    lines = {"JAX from PyTorch": single.terms["loss"]}
    lines |= {name: control.terms["loss"] for name, control in zip(NUDGED, nudged, strict=True)}
    return Chart("distance between the float32 losses of two runs", "step", "relative difference", lines)
