"""The commands that compare both frameworks: check, bisect and mutate."""

import argparse
from pathlib import Path
from typing import Any

from parity.aef.check.settings import DTYPES, SECTIONS, Settings
from parity.cli.arguments import add_command, count, some_of

CHECK = """examples:
  aef-parity check tiny                               a preset, with random weights
  aef-parity check paper --only modules,training      a preset shrunk to test all its sources; two of the sections
  aef-parity check tiny.safetensors runs/tiny         a JAX run and its weights for PyTorch
"""
BISECT = """example:
  aef-parity bisect tiny.safetensors runs/tiny        the first sub-modules that differ
"""
MUTATE = """examples:
  aef-parity mutate                                   every fault of the catalogue, one at a time
  aef-parity mutate --only mask --clean 0             those with "mask" in their names
"""
REPORT = Path("parity-report")


def add_check(commands: Any) -> None:
    """Add `check`.

    Args:
        commands: What `ArgumentParser.add_subparsers` returned.
    """
    check_parser = add_command(
        commands,
        "check",
        CHECK,
        help="test that both frameworks compute the same: forward, backward, training",
        description="Compare everything that both frameworks compute, and write report.html, report.json and junit.xml."
        " Exit with 0 if all results are within their bounds, else with 1.",
    )
    _add_models(check_parser)
    default, names = Settings(), tuple(SECTIONS)
    check_parser.add_argument(
        "--dtypes",
        type=some_of(DTYPES),
        default=default.dtypes,
        metavar="A,B",
        help=f"dtypes of the sub-modules: some of {','.join(DTYPES)} (all)",
    )
    check_parser.add_argument(
        "--seeds", type=count, default=default.seeds, help="number of random batches (%(default)s)"
    )
    check_parser.add_argument(
        "--steps", type=count, default=default.steps, help="training steps; twice as many in float64 (%(default)s)"
    )
    check_parser.add_argument(
        "--only", type=some_of(names), metavar="A,B", help=f"sections: some of {','.join(names)} (all)"
    )
    check_parser.set_defaults(function=_check)


def add_bisect(commands: Any) -> None:
    """Add `bisect`.

    Args:
        commands: What `ArgumentParser.add_subparsers` returned.
    """
    bisect = add_command(
        commands,
        "bisect",
        BISECT,
        help="find the first sub-module in which both frameworks differ",
        description="Find the first sub-modules in which both frameworks differ although their inputs are the same, and"
        " plot the difference. For models of your own: parity.bisect(pair, call).",
    )
    _add_models(bisect)
    bisect.add_argument("--dtype", choices=DTYPES, default="float64", help="(%(default)s)")
    bisect.set_defaults(function=_bisect)


def add_mutate(commands: Any) -> None:
    """Add `mutate`.

    Args:
        commands: What `ArgumentParser.add_subparsers` returned.
    """
    mutate = add_command(
        commands,
        "mutate",
        MUTATE,
        help="put faults into the JAX side, one at a time: each must be caught and located",
        description="Put realistic faults into the JAX side, one at a time, and run the comparison in float64. Each"
        " must be caught and its module named; without a fault nothing may fail. Writes mutations.json.",
    )
    mutate.add_argument("--only", metavar="TEXT", default="", help="faults with this text in their names (all)")
    mutate.add_argument("--clean", type=int, metavar="N", default=20, help="random batches without a fault (20)")
    mutate.add_argument("--report", type=Path, metavar="DIR", default=REPORT, help="(%(default)s)")
    mutate.set_defaults(function=_mutate)


def _add_models(command: argparse.ArgumentParser) -> None:
    command.add_argument("what", metavar="PRESET|TORCH", help="a preset's name, or PyTorch's weights, a file or folder")
    command.add_argument(
        "jax", nargs="?", metavar="JAX", help="the folder of a JAX run, if PyTorch's weights are given"
    )
    command.add_argument(
        "--report", type=Path, metavar="DIR", default=REPORT, help="folder for the output files (%(default)s)"
    )
    command.add_argument(
        "--precision",
        default="highest",
        help="precision of float32 matrix products, except in training: highest, high or medium (%(default)s)",
    )


def _check(options: argparse.Namespace) -> int:
    from parity.aef.check.command import run_check

    return run_check(options)


def _bisect(options: argparse.Namespace) -> int:
    from parity.aef.check.command import run_bisect

    return run_bisect(options)


def _mutate(options: argparse.Namespace) -> int:
    from parity.aef.mutations.command import run_mutate

    return run_mutate(options)
