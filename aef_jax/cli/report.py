"""`aef report`: describe a run in one page."""

import argparse
from pathlib import Path
from typing import Any

from aef_jax.cli.arguments import add_checkpoint_option, add_command, path_or_none
from configs.serialization.printable import print_lines

CLI_EXAMPLES = """
aef report runs/tiny
aef report runs/planet --checkpoint best -o planet.html
"""


def add_report_command(commands: Any) -> None:
    """Add `report`.

    Args:
        commands: what `add_subparsers` returned.
    """
    summary = "write a page of a run's curves, scores, embedding fields and reconstructions"
    parser = add_command(commands, "report", summary, CLI_EXAMPLES, _report)
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a run")
    parser.add_argument("--data", type=path_or_none, metavar="DIR", help="the run's data set, if it was moved")
    add_checkpoint_option(parser)
    parser.add_argument("-o", "--output", type=Path, metavar="PAGE.html", help="(default: RUN/report.html)")


def _report(options: argparse.Namespace, _: list[str]) -> int:
    from aef_jax.report.run_page import write_run_report
    from aef_jax.run.folder import RunFolder

    output = options.output or options.run / "report.html"
    write_run_report(RunFolder(options.run), output, options.data, options.checkpoint)
    print_lines(f"wrote {output}")
    return 0
