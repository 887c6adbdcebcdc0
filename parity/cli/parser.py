"""The parser of `aef-parity`. It imports no framework, so that `--help` is quick."""

import argparse

from parity.cli import checkpoints, comparisons, embed
from parity.cli.arguments import help_format

EXAMPLES_OF_ALL = (
    checkpoints.CONVERT,
    checkpoints.DIFF,
    checkpoints.TRAIN,
    comparisons.CHECK,
    comparisons.BISECT,
    comparisons.MUTATE,
    embed.EMBED,
)


def build_parser() -> argparse.ArgumentParser:
    """Build the parser with all commands.

    Returns:
        A parser whose result has `function`, which takes the options and returns the exit code.
    """
    lines = "".join(examples.partition("\n")[2] for examples in EXAMPLES_OF_ALL)
    parser = argparse.ArgumentParser(
        prog="aef-parity",
        description="Move weights between JAX and PyTorch, and test that both compute the same.",
        **help_format(f"examples:\n{lines}"),
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    checkpoints.add_convert(commands)
    checkpoints.add_diff(commands)
    checkpoints.add_train(commands)
    comparisons.add_check(commands)
    comparisons.add_bisect(commands)
    comparisons.add_mutate(commands)
    embed.add_embed(commands)
    return parser
