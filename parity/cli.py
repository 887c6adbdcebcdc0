"""The command `aef-parity`."""

import argparse
import logging
import re
import sys
from pathlib import Path

from parity.aef.check.settings import DTYPES as COMPARED
from parity.aef.check.settings import SECTIONS, Settings
from parity.files.cast import DTYPES

CONVERT = """examples:
  aef-parity convert runs/tiny tiny.safetensors       the latest checkpoint of a JAX run, for PyTorch
  aef-parity convert tiny.safetensors runs/again      and back, as a folder that aef embed reads
  aef-parity convert runs/tiny torch/tiny             with Adam's moments and counters, in a folder of PyTorch's
  aef-parity convert torch/tiny runs/on               and back, as a folder that aef train goes on with
"""
DIFF = """example:
  aef-parity diff runs/tiny torch/tiny
"""
CHECK = """examples:
  aef-parity check tiny                               a preset, with random weights
  aef-parity check paper --only modules,training      shrunk, with all its sources; two of the sections
  aef-parity check tiny.safetensors runs/tiny         a run of JAX and its weights for PyTorch
"""
BISECT = """example:
  aef-parity bisect tiny.safetensors runs/tiny        the first sub-modules that differ
"""
MUTATE = """examples:
  aef-parity mutate                                   every fault of the catalogue, one at a time
  aef-parity mutate --only mask --clean 0             those with "mask" in their names
"""
TRAIN = """example:
  aef-parity train torch/tiny torch/on --to-step 540  after convert; and back: aef-parity convert torch/on runs/on
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
        CONVERT + "".join(text.partition("\n")[2] for text in (DIFF, TRAIN, CHECK, BISECT, MUTATE, EMBED)),
        prog="aef-parity",
        description="Weights across frameworks, and proof that both compute the same.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    _add_convert(commands)
    _add_diff(commands)
    _add_train(commands)
    _add_check(commands)
    _add_bisect(commands)
    _add_mutate(commands)

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


def _add_train(commands) -> None:
    train = _documented(
        commands.add_parser,
        TRAIN,
        name="train",
        help="go on with a converted run in PyTorch, on the same data",
        description="Goes on in PyTorch with a run that was converted to a folder, on the data that JAX would have seen"
        " and under the noise that it would have drawn: for comparisons, on the CPU. Writes OUT.jsonl beside OUT.",
    )
    train.add_argument("source", type=Path, metavar="IN", help="a folder of PyTorch's, with moments")
    train.add_argument("target", type=Path, metavar="OUT", help="another; whole or not at all")
    train.add_argument("--to-step", type=_count, required=True, metavar="N", help="steps done at the end, with JAX's")
    train.add_argument("--overwrite", action="store_true", help="replace OUT where it is there already")
    train.set_defaults(function=_train)


def _add_check(commands) -> None:
    check = _documented(
        commands.add_parser,
        CHECK,
        name="check",
        help="prove that both frameworks compute the same: forward, backward, training",
        description="Compares both frameworks in all that they compute, and writes report.html, report.json and"
        " junit.xml. Exits 0 where all is within its bounds, 1 where not.",
    )
    _add_subject(check)
    default = Settings()
    check.add_argument(
        "--dtypes",
        type=_some_of(COMPARED),
        default=default.dtypes,
        metavar="A,B",
        help=f"of the sub-modules: some of {','.join(COMPARED)} (all)",
    )
    check.add_argument("--seeds", type=_count, default=default.seeds, help="random batches (%(default)s)")
    check.add_argument(
        "--steps", type=_count, default=default.steps, help="of training; in float64 twice as many (%(default)s)"
    )
    names = tuple(SECTIONS)
    check.add_argument("--only", type=_some_of(names), metavar="A,B", help=f"sections: some of {','.join(names)} (all)")
    check.set_defaults(function=_check)


def _add_bisect(commands) -> None:
    bisect = _documented(
        commands.add_parser,
        BISECT,
        name="bisect",
        help="find the first sub-module in which both frameworks differ",
        description="Finds the first sub-modules in which both frameworks differ, though they are given the same, and"
        " draws the difference. For models of your own: parity.bisect(pair, call).",
    )
    _add_subject(bisect)
    bisect.add_argument("--dtype", choices=COMPARED, default="float64", help="(%(default)s)")
    bisect.set_defaults(function=_bisect)


def _add_mutate(commands) -> None:
    mutate = _documented(
        commands.add_parser,
        MUTATE,
        name="mutate",
        help="put faults into the JAX side, one at a time: each must be caught and found",
        description="Puts realistic faults into the JAX side, one at a time, and runs the comparison in float64: each"
        " must be caught, and its module named; without a fault nothing may be. Writes mutations.json.",
    )
    mutate.add_argument("--only", metavar="TEXT", default="", help="faults with this in their names (all)")
    mutate.add_argument("--clean", type=int, metavar="N", default=20, help="random batches without a fault (20)")
    mutate.add_argument("--report", type=Path, metavar="DIR", default=Path("parity-report"), help="(%(default)s)")
    mutate.set_defaults(function=_mutate)


def _add_subject(command: argparse.ArgumentParser) -> None:
    command.add_argument("what", metavar="PRESET|TORCH", help="a preset's name; or PyTorch's weights, a file or folder")
    command.add_argument("jax", nargs="?", metavar="JAX", help="the folder of a JAX run, with PyTorch's weights")
    command.add_argument(
        "--report", type=Path, metavar="DIR", default=Path("parity-report"), help="what is written into (%(default)s)"
    )
    command.add_argument(
        "--precision",
        default="highest",
        help="of float32's matrix products, but in training: highest, high or medium (%(default)s)",
    )


def _some_of(names: tuple[str, ...]):
    def parsed(text: str) -> tuple[str, ...]:
        wrong = [name for name in text.split(",") if name not in names]
        if wrong:
            raise argparse.ArgumentTypeError(f"{wrong[0]!r} is none of {', '.join(names)}")
        return tuple(name for name in names if name in text.split(","))

    return parsed


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text) < 10**6):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 999999")
    return int(text)


def _bytes(text: str) -> int:
    found = re.fullmatch(r"(\d{1,9})(MB|GB)", text)
    if not found or not int(found[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 2GB or 500MB")
    return int(found[1]) * {"MB": 10**6, "GB": 10**9}[found[2]]


def _documented(make, examples: str, **options) -> argparse.ArgumentParser:
    return make(epilog=examples, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **options)


def _convert(options: argparse.Namespace) -> int:
    from parity.aef.conversion.convert import ConvertOptions, convert, plan

    how = ConvertOptions(options.overwrite, options.dtype, options.shard_size, options.allow_nonfinite)
    print((plan if options.dry_run else convert)(options.source, options.target, how))
    return 0


def _diff(options: argparse.Namespace) -> int:
    from parity.aef.conversion.diff import diff

    equal = True
    for line in diff(options.A, options.B):
        equal &= line.equal
        print(line)
    return 0 if equal else 1


def _train(options: argparse.Namespace) -> int:
    from parity.aef.training.train import train

    print(train(options.source, options.target, options.to_step, options.overwrite))
    return 0


def _check(options: argparse.Namespace) -> int:
    from parity.aef.check.command import check

    return check(options)


def _bisect(options: argparse.Namespace) -> int:
    from parity.aef.check.command import bisect

    return bisect(options)


def _mutate(options: argparse.Namespace) -> int:
    from parity.aef.mutations.command import mutate

    return mutate(options)


def _embed(options: argparse.Namespace) -> int:
    from aef_jax.data.store.site import to_ms
    from aef_jax.run.folder import RunFolder
    from parity.aef.embed import TOLERANCE, embed_both

    period = to_ms(options.start), to_ms(options.end)
    difference = embed_both(RunFolder(options.run), options.weights, period, options.output)
    within = difference <= TOLERANCE
    print(f"wrote {options.output}; PyTorch and JAX differ by at most {difference:.2e}", end="")
    print(f", within {TOLERANCE:.0e}" if within else f": more than {TOLERANCE:.0e}")
    return 0 if within else 1


if __name__ == "__main__":
    sys.exit(main())
