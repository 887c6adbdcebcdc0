"""The command `aef-parity`."""

import argparse
import logging
import re
import sys
from pathlib import Path

from parity.cast import DTYPES

CONVERT = """examples:
  aef-parity convert runs/tiny tiny.safetensors       the latest checkpoint of a JAX run, for PyTorch
  aef-parity convert tiny.safetensors runs/again      and back, as a folder that aef embed reads
  aef-parity convert runs/tiny torch/tiny             with Adam's moments and counters, in a folder of PyTorch's
  aef-parity convert torch/tiny runs/on               and back, as a folder that aef train goes on with
"""
DIFF = """example:
  aef-parity diff runs/tiny torch/tiny
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
        CONVERT + "".join(text.removeprefix("example:\n") for text in (DIFF, EMBED)),
        prog="aef-parity",
        description="Weights across frameworks, and proof that both compute the same.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    _add_convert(commands)
    _add_diff(commands)

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


def _add_convert(commands) -> None:
    convert = _documented(
        commands.add_parser,
        CONVERT,
        name="convert",
        help="a JAX run's folder to PyTorch's safetensors, or back",
        description="Converts a JAX run's folder to PyTorch's safetensors, or back: the direction is what IN asks for.",
    )
    convert.add_argument(
        "source",
        type=Path,
        metavar="IN",
        help="a run's folder, RUN/checkpoints/STEP, a .safetensors, or a folder with model.safetensors or its index",
    )
    convert.add_argument(
        "target",
        type=Path,
        metavar="OUT",
        help="whole or not at all; of a run: a .safetensors for parameters alone, or a folder, with Adam's moments",
    )
    convert.add_argument("--overwrite", action="store_true", help="replace OUT where it is there already")
    convert.add_argument("--dtype", choices=DTYPES, help="cast parameters, and tell by how much that changes them")
    convert.add_argument("--dry-run", action="store_true", help="print what goes where, and write nothing")
    convert.add_argument("--allow-nonfinite", action="store_true", help="convert NaN and infinities, too")
    convert.add_argument(
        "--shard-size", type=_bytes, default="2GB", metavar="SIZE", help="of a folder's shards, 2GB or 500MB (2GB)"
    )
    convert.set_defaults(function=_convert)


def _add_diff(commands) -> None:
    diff = _documented(
        commands.add_parser,
        DIFF,
        name="diff",
        help="compare two checkpoints, of either framework, tensor by tensor",
        description="Compares the parameters of two checkpoints, and Adam's moments where both have them, tensor by"
        " tensor: equal, or their relative L2 and largest |difference|. Exits 0 where all are equal, 1 where not.",
    )
    for name in ("A", "B"):
        diff.add_argument(name, type=Path, help="a run's folder, RUN/checkpoints/STEP, a .safetensors or its folder")
    diff.set_defaults(function=_diff)


def _bytes(text: str) -> int:
    found = re.fullmatch(r"(\d{1,9})(MB|GB)", text)
    if not found or not int(found[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 2GB or 500MB")
    return int(found[1]) * {"MB": 10**6, "GB": 10**9}[found[2]]


def _documented(make, examples: str, **options) -> argparse.ArgumentParser:
    return make(epilog=examples, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **options)


def _convert(options: argparse.Namespace) -> int:
    from parity.aef.convert import How, convert, plan

    how = How(options.overwrite, options.dtype, options.shard_size, options.allow_nonfinite)
    print((plan if options.dry_run else convert)(options.source, options.target, how))
    return 0


def _diff(options: argparse.Namespace) -> int:
    from parity.aef.diff import diff

    equal = True
    for line in diff(options.A, options.B):
        equal &= line.equal
        print(line)
    return 0 if equal else 1


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
