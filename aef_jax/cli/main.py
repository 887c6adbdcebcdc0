"""The command `aef`: build the parser, and run a subcommand."""

import argparse
import sys

from aef_jax.cli.arguments import addresses, documented, split_settings
from aef_jax.cli.compile import add_compile_command
from aef_jax.cli.config import add_config_command
from aef_jax.cli.data import add_data_commands
from aef_jax.cli.embed import add_embed_command
from aef_jax.cli.evaluate import add_evaluate_command
from aef_jax.cli.field import add_field_commands
from aef_jax.cli.report import add_report_command
from aef_jax.cli.resolve_config import validate_local
from aef_jax.cli.serve import add_serve_command
from aef_jax.cli.shardings import add_shardings_command
from aef_jax.cli.train import add_train_command
from aef_jax.files.machine_limits import describe_limit, exit_code, hush_libraries
from configs.serialization.printable import LONGEST_SENTENCE, print_lines, sentence

CLI_EXAMPLES = """
aef train tiny                                      train on the sample cube, into runs/tiny
aef train tiny --training.steps 200 --run runs/b    change a setting; aef train --help explains them all
aef train runs/tiny                                 resume a run that was stopped
aef train tiny --data planet                        train on a data set; aef data --help makes one
aef evaluate labels.geojson --features field.tif     compare features at labeled points
aef embed runs/tiny --period 2018 -o field.tif      write the embedding field of a year
aef field search field.tif --lon 4.95 --lat 50.8 -o similar.tif
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: words of the command line; by default those of this process.

    Returns:
        The exit code: 0, 2 after a user's mistake, which is reported in one sentence, or 130 after Ctrl-C.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    words, settings = split_settings(arguments)
    hush_libraries("aef")
    options, rest = _parser().parse_known_args(words)
    settings += rest
    try:
        for argument in set(arguments) - addresses(options):
            validate_local(argument)
        if settings and not options.takes_settings:
            raise ValueError(f"there is no option {settings[0]!r}; aef {options.command} --help lists them")
        return options.function(options, settings)
    except (Exception, KeyboardInterrupt) as error:
        code = exit_code(error)
        if code == 1:
            raise
        message = "interrupted" if code == 130 else describe_limit(error) or sentence(error, LONGEST_SENTENCE)
        print_lines(f"aef: {message}", file=sys.stderr)
        return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="aef", description="AlphaEarth Foundations in JAX.", **documented(CLI_EXAMPLES)
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add_train_command(commands)
    add_embed_command(commands)
    add_evaluate_command(commands)
    add_report_command(commands)
    add_field_commands(commands)
    add_serve_command(commands)
    add_config_command(commands)
    add_shardings_command(commands)
    add_compile_command(commands)
    add_data_commands(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
