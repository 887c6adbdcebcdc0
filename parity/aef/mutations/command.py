"""Run `aef-parity mutate`: the comparison with every fault of the catalogue, and without any."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from aef_jax.files.atomic import replace_file
from parity.aef.mutations.catalogue import CATALOGUE
from parity.aef.mutations.survey import Outcome, Suite, false_alarms, survey
from parity.comparison.precision import matmul_precision

MAX_MISLOCALIZED = 0.1
"""The largest fraction of faults that may be located in another module than the one that has them."""


def run_mutate(options: argparse.Namespace) -> int:
    """Run the command.

    Args:
        options: The command's options.

    Returns:
        The exit code: 0 if every fault was caught, enough were located, and nothing failed without a fault.

    Raises:
        ValueError: If no fault has the requested text in its name.
    """
    mutations = [mutation for mutation in CATALOGUE if options.only in mutation.name]
    if not mutations:
        raise ValueError(f"no mutation has {options.only!r} in its name, expected one such as {CATALOGUE[0].name!r}")
    with matmul_precision():
        suite = Suite()
        seeds = tqdm(range(options.clean), unit="seed", desc="no fault")
        alarms = [name for name in false_alarms(suite, seeds) if name]
        outcomes = list(survey(suite, tqdm(mutations, unit="fault", desc="faults")))
    _print(outcomes, alarms, options.clean)
    _write(options.report, outcomes, alarms, options.clean)
    return 0 if _passed(outcomes, alarms) else 1


def _passed(outcomes: list[Outcome], alarms: list[str]) -> bool:
    real = [outcome for outcome in outcomes if not outcome.mutation.equivalent]
    elsewhere = sum(not outcome.localized for outcome in real)
    missed = [outcome for outcome in real if not outcome.caught]
    false = [outcome for outcome in outcomes if outcome.mutation.equivalent and outcome.caught]
    return not (alarms or missed or false) and elsewhere <= MAX_MISLOCALIZED * len(real)


def _print(outcomes: list[Outcome], alarms: list[str], seeds: int) -> None:
    table = Table("fault", "in", "caught", "named", "seconds")
    for outcome in outcomes:
        caught = (
            "equivalent" if outcome.mutation.equivalent and not outcome.caught else "yes" if outcome.caught else "NO"
        )
        named = outcome.named if outcome.as_expected else f"{outcome.named} (expected {outcome.mutation.culprit})"
        table.add_row(outcome.mutation.name, outcome.mutation.target, caught, named, f"{outcome.seconds:.1f}")
    console = Console()
    console.print(table)
    real = [outcome for outcome in outcomes if not outcome.mutation.equivalent]
    caught, localized = sum(outcome.caught for outcome in real), sum(outcome.localized for outcome in real)
    console.print(
        f"{caught} of {len(real)} faults caught, {localized} located; {len(outcomes) - len(real)} change no number:"
    )
    for outcome in outcomes:
        if outcome.mutation.equivalent:
            console.print(f"  {outcome.mutation.name}: {outcome.mutation.equivalent}")
    console.print(
        f"without a fault: {len(alarms)} false alarms in {seeds} seeds{': ' if alarms else ''}{', '.join(alarms)}"
    )


def _write(folder: Path, outcomes: list[Outcome], alarms: list[str], seeds: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    document = {"mutations": [asdict(outcome) for outcome in outcomes], "clean_seeds": seeds, "false_alarms": alarms}
    with replace_file(folder / "mutations.json") as temporary:
        temporary.write_text(json.dumps(document, indent=1))
