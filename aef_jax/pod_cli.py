"""`aef shardings` and `aef compile`: a run on a pod, before there is one."""

import argparse
from dataclasses import replace

EXAMPLES = """examples:
  aef shardings paper --mesh data=4,fsdp=2,seq=2      what lies where, and bytes per device
"""


def add_pod_commands(commands, documented) -> None:
    """Adds both to a parser's commands; `documented` makes a parser with an epilog."""
    shardings = documented(commands.add_parser, EXAMPLES, name="shardings", help="say what lies where on a mesh")
    shardings.add_argument("what", metavar="PRESET|CONFIG.json|RUN")
    shardings.add_argument("--mesh", required=True, metavar="data=4,fsdp=2,seq=2", help="devices along each axis")
    shardings.set_defaults(function=_shardings, takes_settings=True)


def _shardings(options: argparse.Namespace, settings: list[str]) -> int:
    from aef_jax.cli import resolve
    from aef_jax.shardings import parse_mesh, shardings_table

    config = replace(resolve(options.what, settings)[0], mesh=parse_mesh(options.mesh))
    print(shardings_table(config))
    return 0
