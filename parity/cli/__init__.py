"""The command `aef-parity`, also run as `python -m parity.cli`."""

import sys

from aef_jax.files.machine_limits import describe_limit, exit_code, hush_libraries
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
    hush_libraries("aef-parity")
    try:
        return options.function(options)
    except (Exception, KeyboardInterrupt) as error:
        code = exit_code(error)
        if code == 1:
            raise
        message = "interrupted" if code == 130 else describe_limit(error) or error  # of some, with a list below it
        print_lines(f"aef-parity: {message}", file=sys.stderr)
        return code
