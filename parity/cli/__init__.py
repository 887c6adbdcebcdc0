"""The command `aef-parity`, also run as `python -m parity.cli`."""

import logging
import sys

from configs.serialization.printable import print_lines


def main(arguments: list[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: What follows the command's name; None means those of the process.

    Returns:
        The exit code: 0 if all is well, 1 if the frameworks differ, 2 for a mistake, printed as one sentence.
    """
    from parity.cli.parser import build_parser

    options = build_parser().parse_args(arguments)
    logging.getLogger("absl").setLevel(logging.ERROR)  # Orbax warns about choices that are intended here
    try:
        return options.function(options)
    except (ValueError, OSError, ModuleNotFoundError) as error:
        print_lines(f"aef-parity: {error}", file=sys.stderr)
        return 2
