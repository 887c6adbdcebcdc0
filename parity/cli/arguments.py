"""Types and parsers that the commands of `aef-parity` share."""

import argparse
import re
from collections.abc import Callable
from typing import Any

SIZE_UNITS = {"MB": 10**6, "GB": 10**9}


def add_command(commands: Any, name: str, examples: str, **options: Any) -> argparse.ArgumentParser:
    """Add a command whose help ends with examples.

    Args:
        commands: What `ArgumentParser.add_subparsers` returned.
        name: The command's name.
        examples: Text shown as it is below the options.
        **options: Further keywords of the parser: `help` and `description`.

    Returns:
        The command's parser.
    """
    return commands.add_parser(name, **help_format(examples), **options)


def help_format(examples: str) -> dict[str, Any]:
    """Return the keywords of a parser that prints `examples` as they are and accepts no abbreviated options.

    Args:
        examples: Text shown below the options.

    Returns:
        Keywords of `ArgumentParser`.
    """
    return {"epilog": examples, "formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False}


def some_of(names: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    """Make the argument type of a comma-separated choice.

    Args:
        names: The names that may be chosen.

    Returns:
        A function that parses a text into the chosen names, in the order of `names`.
    """

    def parse(text: str) -> tuple[str, ...]:
        wrong = [name for name in text.split(",") if name not in names]
        if wrong:
            raise argparse.ArgumentTypeError(f"{wrong[0]!r} is none of {', '.join(names)}")
        return tuple(name for name in names if name in text.split(","))

    return parse


def count(text: str) -> int:
    """Parse a number from 1 to 999999.

    Args:
        text: Decimal digits.

    Returns:
        The number.

    Raises:
        argparse.ArgumentTypeError: If it is no such number.
    """
    if not (text.isascii() and text.isdecimal() and 0 < int(text) < 10**6):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 999999")
    return int(text)


def byte_size(text: str) -> int:
    """Parse a size such as 2GB or 500MB.

    Args:
        text: Digits and a unit, MB or GB.

    Returns:
        The size in bytes.

    Raises:
        argparse.ArgumentTypeError: If it is no such size, or zero.
    """
    match = re.fullmatch(r"(\d{1,9})(MB|GB)", text)
    if not match or not int(match[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 2GB or 500MB")
    return int(match[1]) * SIZE_UNITS[match[2]]
