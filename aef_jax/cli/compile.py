"""`aef compile`: compile the training step for TPUs that this machine does not have."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from aef_jax.cli.arguments import WHAT, add_command
from aef_jax.cli.resolve_config import resolve

CLI_EXAMPLES = """
aef compile paper --topology v4:8x8x8 --mesh data=256,seq=2 --model.compute_dtype bfloat16
aef compile small --topology v5e:4x4 --full -o compiled.json
"""


def add_compile_command(commands: Any) -> None:
    """Add `compile`.

    Args:
        commands: what `add_subparsers` returned.
    """
    summary = "compile the training step for absent TPUs, and report its memory and time"
    parser = add_command(commands, "compile", summary, CLI_EXAMPLES, _compile, True)
    parser.add_argument("what", metavar=WHAT)
    parser.add_argument("--topology", required=True, metavar="CHIP:AxBxC", help="v4:8x8x8, v5e:16x16, v5p or v6e")
    parser.add_argument("--mesh", metavar="data=256,seq=2", help="devices along each axis (default: the config's)")
    parser.add_argument(
        "--full", action="store_true", help="compile with the effort of training, about eight times as long"
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.json", help="also write the report as JSON")


def _compile(options: argparse.Namespace, settings: list[str]) -> int:
    from aef_jax.aot.command import compile_command
    from aef_jax.aot.shardings import parse_mesh

    config, _ = resolve(options.what, settings)
    config = replace(config, mesh=parse_mesh(options.mesh)) if options.mesh else config
    return compile_command(config, options.topology, options.output, options.full)
