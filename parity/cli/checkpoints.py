"""The commands on checkpoints: convert, diff and train."""

import argparse
from pathlib import Path
from typing import Any

from configs.serialization.printable import print_lines
from parity.cli.arguments import add_command, byte_size, count
from parity.files.cast import DTYPES

CONVERT = """examples:
  aef-parity convert runs/tiny tiny.safetensors       the latest checkpoint of a JAX run, for PyTorch
  aef-parity convert tiny.safetensors runs/again      and back, as a run folder that aef embed reads
  aef-parity convert model.safetensors runs/ported --config tiny   a plain state_dict, which carries no config
  aef-parity convert runs/tiny torch/tiny             with Adam's moments and counters, as a PyTorch folder
  aef-parity convert torch/tiny runs/on               and back, as a run folder that aef train resumes
"""
DIFF = """example:
  aef-parity diff runs/tiny torch/tiny
"""
TRAIN = """example:
  aef-parity train torch/tiny torch/on --to-step 540  after convert; and back: aef-parity convert torch/on runs/on
"""


def add_convert(commands: Any) -> None:
    """Add `convert`.

    Args:
        commands: What `ArgumentParser.add_subparsers` returned.
    """
    convert = add_command(
        commands,
        "convert",
        CONVERT,
        help="convert a JAX run's folder to PyTorch's safetensors, or back",
        description="Convert a JAX run's folder to PyTorch's safetensors, or back. IN decides the direction.",
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
        help="written whole or not at all; from a run: a .safetensors for parameters only, or a folder, which also"
        " holds Adam's moments",
    )
    convert.add_argument(
        "--config",
        metavar="WHAT",
        help="preset, config file or run whose config weights without one have, such as a plain state_dict",
    )
    convert.add_argument("--overwrite", action="store_true", help="replace OUT if it exists")
    convert.add_argument("--dtype", choices=DTYPES, help="cast parameters, and print by how much that changes them")
    convert.add_argument("--dry-run", action="store_true", help="print which tensor goes where, and write nothing")
    convert.add_argument("--allow-nonfinite", action="store_true", help="also convert NaN and infinities")
    convert.add_argument(
        "--shard-size",
        type=byte_size,
        default="2GB",
        metavar="SIZE",
        help="largest shard of a folder, such as 2GB or 500MB (2GB)",
    )
    convert.set_defaults(function=_convert)


def add_diff(commands: Any) -> None:
    """Add `diff`.

    Args:
        commands: What `ArgumentParser.add_subparsers` returned.
    """
    diff = add_command(
        commands,
        "diff",
        DIFF,
        help="compare two checkpoints, of either framework, tensor by tensor",
        description="Compare the parameters of two checkpoints tensor by tensor, and Adam's moments if both have them:"
        " equal, or their relative L2 and largest |difference|. Exit with 0 if all are equal, else with 1.",
    )
    for name in ("A", "B"):
        diff.add_argument(name, type=Path, help="a run's folder, RUN/checkpoints/STEP, a .safetensors or its folder")
    diff.set_defaults(function=_diff)


def add_train(commands: Any) -> None:
    """Add `train`.

    Args:
        commands: What `ArgumentParser.add_subparsers` returned.
    """
    train = add_command(
        commands,
        "train",
        TRAIN,
        help="continue a converted run in PyTorch, on the same data",
        description="Continue in PyTorch a run that was converted to a folder, on the data that JAX would have seen and"
        " with the noise that it would have drawn. For comparisons, on the CPU. Writes OUT.jsonl beside OUT.",
    )
    train.add_argument("source", type=Path, metavar="IN", help="a PyTorch folder with moments")
    train.add_argument("target", type=Path, metavar="OUT", help="another folder, written whole or not at all")
    train.add_argument("--to-step", type=count, required=True, metavar="N", help="steps done at the end, with JAX's")
    train.add_argument("--overwrite", action="store_true", help="replace OUT if it exists")
    train.set_defaults(function=_train)


def _convert(options: argparse.Namespace) -> int:
    from aef_jax.cli.resolve_config import resolve
    from parity.aef.conversion.convert import ConvertOptions, convert, plan

    config = None if options.config is None else resolve(options.config, [])[0]
    choices = ConvertOptions(options.overwrite, options.dtype, options.shard_size, options.allow_nonfinite, config)
    print_lines((plan if options.dry_run else convert)(options.source, options.target, choices))
    return 0


def _diff(options: argparse.Namespace) -> int:
    from parity.aef.conversion.diff import diff

    equal = True
    for line in diff(options.A, options.B):
        equal &= line.equal
        print_lines(line)
    return 0 if equal else 1


def _train(options: argparse.Namespace) -> int:
    from parity.aef.training.train import train

    print_lines(train(options.source, options.target, options.to_step, options.overwrite))
    return 0
