"""`aef shardings`: print how a training step is divided over a mesh."""

import argparse
from dataclasses import replace
from typing import Any

from aef_jax.cli.arguments import WHAT, add_command
from aef_jax.cli.resolve_config import resolve
from configs.serialization.printable import print_lines

CLI_EXAMPLES = """
aef shardings paper --mesh data=4,fsdp=2,seq=2
aef shardings small --mesh fsdp=8 --training.batch 64
"""


def add_shardings_command(commands: Any) -> None:
    """Add `shardings`.

    Args:
        commands: what `add_subparsers` returned.
    """
    summary = "print the sharding and bytes per device of each parameter"
    parser = add_command(commands, "shardings", summary, CLI_EXAMPLES, _shardings, True)
    parser.add_argument("what", metavar=WHAT)
    parser.add_argument("--mesh", required=True, metavar="data=4,fsdp=2,seq=2", help="devices along each axis")


def _shardings(options: argparse.Namespace, settings: list[str]) -> int:
    from aef_jax.aot.shardings import parse_mesh, shardings_table

    config, _ = resolve(options.what, settings)
    print_lines(shardings_table(replace(config, mesh=parse_mesh(options.mesh))))
    return 0
