"""The command `aef-parity`."""

import argparse
import logging
import sys
from pathlib import Path

CONVERT = """example:
  aef-parity convert runs/tiny tiny.safetensors       the latest checkpoint of a JAX run, for PyTorch
  aef-parity convert tiny.safetensors runs/again      and back, as a folder that aef embed reads
"""


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code: 0, or 2 for a user's mistake, told in one sentence."""
    options = _parser().parse_args(arguments)
    logging.getLogger("absl").setLevel(logging.ERROR)  # Orbax warns of what is meant here
    try:
        return options.function(options)
    except (ValueError, OSError, ModuleNotFoundError) as error:
        print(f"aef-parity: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="aef-parity",
        description="Weights across frameworks, and proof that both compute the same.",
        epilog=CONVERT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    convert = commands.add_parser(
        "convert",
        help="a JAX run's folder to PyTorch's safetensors, or back",
        description="Converts a JAX run's folder to PyTorch's safetensors, or back: the direction is what IN asks for.",
        epilog=CONVERT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    convert.add_argument(
        "source", type=Path, metavar="IN", help="a JAX run's folder, or RUN/checkpoints/STEP; or a .safetensors file"
    )
    convert.add_argument(
        "target", type=Path, metavar="OUT", help="a .safetensors file, or a folder; whole or not at all"
    )
    convert.add_argument("--overwrite", action="store_true", help="replace OUT where it is there already")
    convert.set_defaults(function=_convert)
    return parser


def _convert(options: argparse.Namespace) -> int:
    from parity.convert import convert

    print(convert(options.source, options.target, options.overwrite))
    return 0


if __name__ == "__main__":
    sys.exit(main())
