"""Section `training`: the same steps in both frameworks, in float64 and in float32, and what rounding alone does."""

from collections.abc import Sequence
from contextlib import nullcontext

from parity.aef.check.course import batches, course_of, one_ulp_up, start_of
from parity.aef.check.quick import quick_compiles
from parity.aef.check.settings import Settings
from parity.aef.check.subject import Subject
from parity.aef.steps import jax_steps, torch_steps
from parity.aef.trajectory import Apart, Trajectory, apart
from parity.report.report import Chart, Check, Section
from parity.tolerances import CHAOS_RATIO

ONE_STEP = 1e-13
FLOAT64 = 1e-12
LOSSES, PARAMETERS = 1e-6, 5e-7
"""In float32, of each step's loss and of all parameters after the last."""


def training(subject: Subject, settings: Settings) -> Section:
    """Losses, parameters and Adam's moments, after one step and after all."""
    section = Section("training", f"Training, {settings.steps} steps, JAX from PyTorch")
    runs = {}
    todo = ["JAX float64", "PyTorch float64", "JAX float32", "PyTorch float32", "PyTorch float32, one ULP off"]
    for name in settings.progress(todo, "training"):
        runs[name] = _run(subject, name, settings.steps)
    double, single, twin = (
        apart(runs[one], runs[other]) for one, other in ((todo[0], todo[1]), (todo[2], todo[3]), (todo[4], todo[3]))
    )
    section.checks += [*_in_float64(double, 2 * settings.steps), *_in_float32(single, twin, settings.steps)]
    section.charts += [_losses(runs), _drift(single, twin)]
    return section


def _run(subject: Subject, name: str, steps: int) -> Trajectory:
    framework, dtype = name.split(",")[0].split()
    config, start = course_of(subject, dtype), start_of(subject)
    given = batches(config, 2 * steps if dtype == "float64" else steps)
    run = jax_steps if framework == "JAX" else torch_steps
    with quick_compiles() if dtype == "float64" else nullcontext():
        return run(config, one_ulp_up(start) if name.endswith("off") else start, given)


def _in_float64(far: Apart, steps: int) -> list[Check]:
    one, all_ = "one step of the same program", f"{steps} steps, through which differences of the last digit grow"
    worst = max(far.terms, key=lambda term: max(far.terms[term]))
    return [
        *(Check(f"float64, {kind} after 1 step", value, ONE_STEP, one) for kind, value in far.first.items()),
        *(Check(f"float64, {kind} after {steps} steps", value, FLOAT64, all_) for kind, value in far.last.items()),
        Check(f"float64, {worst} of any step", max(far.terms[worst]), FLOAT64, f"the worst term of any; {all_}"),
    ]


def _in_float32(far: Apart, twin: Apart, steps: int) -> list[Check]:
    chaos = "as a multiple of what one ULP at the start does within PyTorch: training is chaotic, not JAX"
    return [
        Check(f"float32, loss of any of {steps} steps", max(far.terms["loss"]), LOSSES, "a mean of many roundings"),
        Check(f"float32, params after {steps} steps", far.last["params"], PARAMETERS, "a few ULP of float32"),
        *(
            Check(
                f"float32, {kind} after {steps} steps, over the twin's",
                _over(value, twin.last[kind]),
                CHAOS_RATIO,
                chaos,
            )
            for kind, value in far.last.items()
        ),
    ]


def _over(value: float, control: float) -> float:
    return value / control if control else float("inf") if value else 0.0


def _losses(runs: dict[str, Trajectory]) -> Chart:
    shown = {name.replace(" float32", ""): run for name, run in runs.items() if "float32" in name}
    lines = {name: [terms["loss"] for terms in run.terms] for name, run in shown.items()}
    return Chart("the loss, in float32", "step", "loss", lines)


def _drift(single: Apart, twin: Apart) -> Chart:
    lines: dict[str, Sequence[float]] = {"JAX": single.terms["loss"], "PyTorch, one ULP off": twin.terms["loss"]}
    return Chart("how far the float32 loss is from PyTorch's", "step", "relative difference", lines)
