"""`aef shardings` and `aef compile`: a run on a pod, before there is one."""

import argparse
from dataclasses import replace
from pathlib import Path

from configs.config import Config

EXAMPLES = """examples:
  aef shardings paper --mesh data=4,fsdp=2,seq=2      what lies where, and bytes per device
  aef compile paper --topology v4:8x8x8 --mesh data=256,seq=2 --model.compute_dtype bfloat16
"""


def add_pod_commands(commands, documented) -> None:
    """Adds both to a parser's commands; `documented` makes a parser with an epilog."""
    shardings = documented(commands.add_parser, EXAMPLES, name="shardings", help="say what lies where on a mesh")
    shardings.add_argument("what", metavar="PRESET|CONFIG.json|RUN")
    shardings.add_argument("--mesh", required=True, metavar="data=4,fsdp=2,seq=2", help="devices along each axis")
    shardings.set_defaults(function=_shardings, takes_settings=True)

    ahead = documented(commands.add_parser, EXAMPLES, name="compile", help="compile the step for absent TPUs")
    ahead.add_argument("what", metavar="PRESET|CONFIG.json|RUN")
    ahead.add_argument("--topology", required=True, metavar="CHIP:AxBxC", help="v4:8x8x8, v5e:16x16, v5p or v6e")
    ahead.add_argument("--mesh", metavar="data=256,seq=2", help="devices along each axis (default: the config's)")
    ahead.add_argument("--save", type=Path, metavar="FILE", help="keep the serialised executable, compiled in full")
    ahead.add_argument("--full", action="store_true", help="as training compiles it: takes some eight times as long")
    ahead.add_argument("-o", "--output", type=Path, default=Path("compiled.json"), help="(default: compiled.json)")
    ahead.set_defaults(function=_compile, takes_settings=True)


def _shardings(options: argparse.Namespace, settings: list[str]) -> int:
    from aef_jax.aot.shardings import shardings_table

    print(shardings_table(_config(options, settings)))
    return 0


def _compile(options: argparse.Namespace, settings: list[str]) -> int:
    from aef_jax.aot.command import compile_command

    full = options.full or options.save is not None
    return compile_command(_config(options, settings), options.topology, options.output, options.save, full)


def _config(options: argparse.Namespace, settings: list[str]) -> Config:
    from aef_jax.aot.shardings import parse_mesh
    from aef_jax.cli.main import resolve

    config = resolve(options.what, settings)[0]
    return replace(config, mesh=parse_mesh(options.mesh)) if options.mesh else config
