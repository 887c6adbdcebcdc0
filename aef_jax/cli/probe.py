"""`aef probe`: evaluate the embeddings of labeled sites with a linear probe."""

import argparse
from pathlib import Path
from typing import Any

from aef_jax.cli.arguments import add_checkpoint_option, add_command, path_or_none
from configs.serialization.printable import print_lines

CLI_EXAMPLES = """
aef probe runs/planet
aef probe runs/planet --sites 32 --seeds 3 --checkpoint best
aef probe runs/mine --labels crops
"""


def add_probe_command(commands: Any) -> None:
    """Add `probe`.

    Args:
        commands: what `add_subparsers` returned.
    """
    summary = "fit a linear probe to the embeddings of labeled sites"
    parser = add_command(commands, "probe", summary, CLI_EXAMPLES, _probe)
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a run that was trained on a data set")
    parser.add_argument("--data", type=path_or_none, metavar="DIR", help="the run's data set, if it was moved")
    parser.add_argument("--sites", type=int, default=64, help="validation sites to use, at most (default: 64)")
    parser.add_argument("--seeds", type=int, default=5, help="random splits into fit and test sites (default: 5)")
    parser.add_argument("--labels", default="", metavar="NAME", help="label map to predict (default: the only one)")
    add_checkpoint_option(parser)


def _probe(options: argparse.Namespace, _: list[str]) -> int:
    from aef_jax.evaluation.probe_report import probe_run, table
    from aef_jax.run.folder import RunFolder

    if options.sites < 1 or options.seeds < 1:
        raise ValueError(f"--sites is {options.sites} and --seeds {options.seeds}, expected at least 1 of both")
    results = probe_run(
        RunFolder(options.run), options.sites, options.seeds, options.checkpoint, options.data, options.labels
    )
    print_lines(table(results))
    return 0
