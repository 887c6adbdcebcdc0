"""The command `aef-parity`, also run as `python -m parity.cli`."""

import sys

from aef_jax.files.machine_limits import describe_limit, hush_libraries
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
    hush_libraries()
    try:
        return options.function(options)
    except Exception as error:
        limit = describe_limit(error)
        if limit is None and not isinstance(error, (ValueError, ModuleNotFoundError, OSError)):
            raise  # a fault of this program
        print_lines(f"aef-parity: {limit or error}", file=sys.stderr)
        return 2
