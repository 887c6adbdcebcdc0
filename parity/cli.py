"""The command `aef-parity`."""

import argparse
import logging
import sys
from pathlib import Path

CONVERT = """examples:
  aef-parity convert runs/tiny tiny.safetensors       the latest checkpoint of a JAX run, for PyTorch
  aef-parity convert tiny.safetensors runs/again      and back, as a folder that aef embed reads
"""
EMBED = """example:
  aef-parity embed runs/tiny tiny.safetensors --start 2018-01-01 --end 2019-01-01 -o field.tif
"""


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code: 0, 1 where frameworks differ, 2 for a mistake, told in a sentence."""
    options = _parser().parse_args(arguments)
    logging.getLogger("absl").setLevel(logging.ERROR)  # Orbax warns of what is meant here
    try:
        return options.function(options)
    except (ValueError, OSError, ModuleNotFoundError) as error:
        print(f"aef-parity: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = _documented(
        argparse.ArgumentParser,
        CONVERT + EMBED.removeprefix("example:\n"),
        prog="aef-parity",
        description="Weights across frameworks, and proof that both compute the same.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    convert = _documented(
        commands.add_parser,
        CONVERT,
        name="convert",
        help="a JAX run's folder to PyTorch's safetensors, or back",
        description="Converts a JAX run's folder to PyTorch's safetensors, or back: the direction is what IN asks for.",
    )
    convert.add_argument(
        "source", type=Path, metavar="IN", help="a run's folder, RUN/checkpoints/STEP, or a .safetensors"
    )
    convert.add_argument("target", type=Path, metavar="OUT", help="a .safetensors, or a folder; whole or not at all")
    convert.add_argument("--overwrite", action="store_true", help="replace OUT where it is there already")
    convert.set_defaults(function=_convert)

    embed = _documented(
        commands.add_parser,
        EMBED,
        name="embed",
        help="write PyTorch's embedding field, and compare it with JAX's",
        description="Writes the embedding field of a run's data as PyTorch computes it, and compares it with JAX's.",
    )
    embed.add_argument("run", type=Path, metavar="RUN", help="the folder of a JAX run")
    embed.add_argument("weights", type=Path, metavar="WEIGHTS.safetensors", help="the same weights, converted")
    embed.add_argument("--start", required=True, help="the valid period's start, ISO 8601, UTC")
    embed.add_argument("--end", required=True, help="the valid period's end, not itself inside")
    embed.add_argument("-o", "--output", type=Path, required=True, metavar="FIELD.tif")
    embed.set_defaults(function=_embed)
    return parser


def _documented(make, examples: str, **options) -> argparse.ArgumentParser:
    return make(epilog=examples, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **options)


def _convert(options: argparse.Namespace) -> int:
    from parity.aef.convert import convert

    print(convert(options.source, options.target, options.overwrite))
    return 0


def _embed(options: argparse.Namespace) -> int:
    from aef_jax.data.site import to_ms
    from aef_jax.run_folder import RunFolder
    from parity.aef.embed import TOLERANCE, embed_both

    period = to_ms(options.start), to_ms(options.end)
    difference = embed_both(RunFolder(options.run), options.weights, period, options.output)
    within = difference <= TOLERANCE
    print(f"wrote {options.output}; PyTorch and JAX differ by at most {difference:.2e}", end="")
    print(f", within {TOLERANCE:.0e}" if within else f": more than {TOLERANCE:.0e}")
    return 0 if within else 1


if __name__ == "__main__":
    sys.exit(main())
