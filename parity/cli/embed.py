"""The command embed."""

import argparse
from pathlib import Path
from typing import Any

from configs.fields.frames import parse_period
from configs.serialization.printable import print_lines
from parity.cli.arguments import add_command

EMBED = """example:
  aef-parity embed runs/tiny tiny.safetensors --period 2018 -o field.tif
  aef-parity embed runs/planet planet.safetensors --site site_00007 --period 2020-06-01 2020-09-01 -o summer.tif
"""


def add_embed(commands: Any) -> None:
    """Add `embed`.

    Args:
        commands: What `ArgumentParser.add_subparsers` returned.
    """
    embed = add_command(
        commands,
        "embed",
        EMBED,
        help="write PyTorch's embedding field, and compare it with JAX's",
        description="Write the embedding field of a run's data as PyTorch computes it, and compare it with JAX's.",
    )
    embed.add_argument("run", type=Path, metavar="RUN", help="the folder of a JAX run")
    embed.add_argument("weights", type=Path, metavar="WEIGHTS.safetensors", help="the same weights, converted")
    embed.add_argument(
        "--period",
        nargs="+",
        required=True,
        metavar=("START", "END"),
        help="valid period: a year, or start and end in ISO 8601, UTC, the end exclusive",
    )
    embed.add_argument("-o", "--output", type=Path, required=True, metavar="FIELD.tif")
    embed.add_argument("--data", type=Path, metavar="DIR", help="the run's data set, if it was moved")
    embed.add_argument("--site", metavar="NAME", help="site of a data set (default: the first for validation)")
    embed.set_defaults(function=_embed)


def _embed(options: argparse.Namespace) -> int:
    from aef_jax.run.folder import RunFolder
    from parity.aef.embed import TOLERANCE, embed_both

    period = parse_period("valid", options.period)
    difference = embed_both(RunFolder(options.run), options.weights, period, options.output, options.data, options.site)
    is_close = difference <= TOLERANCE
    print_lines(f"wrote {options.output}; PyTorch and JAX differ by at most {difference:.2e}", end="")
    print_lines(f", within {TOLERANCE:.0e}" if is_close else f": more than {TOLERANCE:.0e}")
    return 0 if is_close else 1
