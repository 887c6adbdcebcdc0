"""Run the commands `aef-parity check` and `aef-parity bisect`."""

import sys
from argparse import Namespace

from rich.console import Console

from configs.serialization.printable import print_lines
from parity.aef.check.bisect_command import describe_culprits
from parity.aef.check.check_input import CheckInput, read_check_input
from parity.aef.check.devices import use_devices
from parity.aef.check.run import run_sections
from parity.aef.check.settings import SECTIONS, Settings
from parity.comparison.precision import use_precision
from parity.report.terminal import print_report
from parity.report.write import NAMES, write_report

WIDTH = 160
"""Columns of the tables in a file or a pipe, where rich would use 80 and cut names off."""


def run_check(options: Namespace) -> int:
    """Run the sections, print the tables and write the files.

    Args:
        options: The command's options.

    Returns:
        The exit code: 0 if everything passed, else 1.

    Raises:
        ValueError: If nothing is left to compare.
    """
    names = options.only or tuple(SECTIONS)
    if options.jax is None:
        names = tuple(name for name in names if name != "weights")  # a preset has only one set
    if not names:
        raise ValueError("--only weights compares two checkpoints, TORCH JAX, but a preset has only one set of weights")
    options.report.mkdir(parents=True, exist_ok=True)  # fail now, not after an hour
    if "devices" in names:
        use_devices()  # before a run is opened, which initializes the devices
    with use_precision(options.precision):
        check_input = _check_input(options)
        settings = Settings(options.dtypes, options.steps, options.seeds)
        report = run_sections(check_input, settings, names, Console(stderr=True))
    write_report(report, options.report)
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    print_report(report, console)
    print_lines(f"wrote {', '.join(NAMES)} into {options.report}")
    return 0 if report.passed else 1


def run_bisect(options: Namespace) -> int:
    """Print the culprits as they are found.

    Args:
        options: The command's options.

    Returns:
        The exit code: 0 if both frameworks agree, else 1.
    """
    with use_precision(options.precision):
        check_input, differs = _check_input(options), False
        for note in check_input.notes:
            print_lines(note)
        for paragraph in describe_culprits(check_input, options.dtype, options.report):
            differs = True
            print_lines(paragraph)
    if not differs:
        print_lines(f"{check_input.title}: every sub-module is within its bounds in {options.dtype}")
    return 1 if differs else 0


def _check_input(options: Namespace) -> CheckInput:
    return read_check_input([name for name in (options.what, options.jax) if name is not None])
