"""The command `aef compile`."""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import jax

from aef_jax.ahead.compile import compile_step
from aef_jax.ahead.report import as_text, as_tree
from aef_jax.atomic import replacing
from aef_jax.shardings import parse_mesh
from configs.run import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", metavar="PRESET|CONFIG.json|RUN")
    parser.add_argument("--topology", required=True, metavar="CHIP:AxBxC", help="v4:8x8x8, v5e:16x16, v5p or v6e")
    parser.add_argument("--mesh", metavar="AXIS=N,...", help="devices along each axis: data=256,seq=2")
    parser.add_argument("--save", type=Path, metavar="FILE", help="keep the serialised executable")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("compiled.json"), help="the report (default: compiled.json)"
    )


def compile_command(options: argparse.Namespace, config: Config) -> int:
    """Compiles, prints the report and writes it; the config has its settings applied."""
    jax.config.update("jax_platforms", "cpu")  # chips that are there have other things to do
    if options.mesh:
        config = replace(config, mesh=parse_mesh(options.mesh))
    compiled = compile_step(config, options.topology, options.save)
    print(as_text(compiled))
    with replacing(options.output) as temporary:
        temporary.write_text(json.dumps(as_tree(compiled), indent=2) + "\n")
    print(f"\nall of it is in {options.output}" + (f"; the executable is {options.save}" if options.save else ""))
    return 0
