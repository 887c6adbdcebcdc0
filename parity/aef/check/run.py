"""Run the sections of `aef-parity check`, with a progress bar that estimates the remaining time."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import jax
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from parity.aef.check.check_input import CheckInput
from parity.aef.check.devices import devices
from parity.aef.check.embedding import embedding
from parity.aef.check.files import files
from parity.aef.check.loops import loops
from parity.aef.check.settings import SECTIONS, Settings
from parity.aef.check.terms import terms
from parity.aef.check.training import training
from parity.aef.check.weights import weights
from parity.comparison.compare import Comparison, compare_pair
from parity.comparison.precision import in_force, matmul_precision
from parity.report.report import Report, Section

FUNCTIONS: dict[str, Callable[[CheckInput, Settings], Section]] = {
    "weights": weights,
    "files": files,
    "terms": terms,
    "embedding": embedding,
    "loops": loops,
    "training": training,
    "devices": devices,
}


def run_sections(check_input: CheckInput, settings: Settings, names: Sequence[str], console: Console) -> Report:
    """Run sections and show their progress.

    Args:
        check_input: What is compared.
        settings: How.
        names: The sections to run.
        console: Where the progress is shown.

    Returns:
        The report.
    """
    report = Report(f"PyTorch and JAX: {check_input.title}", list(check_input.notes))
    with matmul_precision():
        report.environment = in_force()
    with _Bar(names, console) as bar:
        for name in names:
            of_section = replace(settings, progress=bar.progress_of(name))
            if name == "modules":
                report.comparison = modules(check_input, of_section)
            else:
                report.sections.append(FUNCTIONS[name](check_input, of_section))
            jax.clear_caches()  # sections share no programs; see jax_program.MAX_PROGRAMS
            bar.done(name)
    return report


def modules(check_input: CheckInput, settings: Settings) -> Comparison:
    """Compare forward and backward, whole and by sub-module, on all seeds.

    Args:
        check_input: What is compared.
        settings: How.

    Returns:
        The comparison.
    """
    first, *more = (check_input.call(seed) for seed in range(settings.seeds))
    return compare_pair(check_input.pair, first, settings.dtypes, settings.progress, more)


class _Bar:
    """One progress bar for all sections, each with its share of the time."""

    def __init__(self, names: Sequence[str], console: Console):
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        self.progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self.before = 0.0
        self.task = self.progress.add_task("", total=sum(SECTIONS[name] for name in names))

    def __enter__(self) -> "_Bar":
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def progress_of(self, name: str) -> Callable[[Iterable[Any], str], Iterable[Any]]:
        """Return the progress function of a section. Its later iterations never move the bar back."""

        def through(iterable: Iterable[Any], description: str) -> Iterator[Any]:
            items = list(iterable)
            self.progress.update(self.task, description=description)
            for number, item in enumerate(items, start=1):
                yield item
                share = SECTIONS[name] * number / len(items)
                self.progress.update(self.task, completed=max(self.progress.tasks[0].completed, self.before + share))

        return through

    def done(self, name: str) -> None:
        """Move the bar to the section's end."""
        self.before += SECTIONS[name]
        self.progress.update(self.task, completed=self.before)
