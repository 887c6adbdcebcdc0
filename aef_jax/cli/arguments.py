"""Parsing that all subcommands share."""

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aef_jax.files.resumable import Part
from configs.serialization.printable import printable

Run = Callable[[argparse.Namespace, list[str]], int]
"""What a subcommand does: options and settings in, exit code out."""
WHAT = "PRESET|CONFIG.json|RUN"
"""Name of the argument that `resolve` reads."""


def add_command(
    commands: Any, name: str, summary: str, examples: str, run: Run, takes_settings: bool = False, epilog: str = ""
) -> argparse.ArgumentParser:
    """Add a subcommand to a parser.

    Args:
        commands: what `add_subparsers` returned.
        name: name of the subcommand.
        summary: one line for the list of subcommands and for its own help.
        examples: command lines, one a line, for the end of its help.
        run: called with the options, and with the words that the parser does not know.
        takes_settings: whether those words are settings. If not, they are a mistake.
        epilog: more text for the end of its help.

    Returns:
        The subcommand's parser.
    """
    parser = commands.add_parser(
        name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.", **documented(examples, epilog)
    )
    parser.set_defaults(function=run, takes_settings=takes_settings, addressable=())
    return parser


def addresses(options: argparse.Namespace) -> set[str]:
    """List the values that may be addresses, as of fields that are read from a bucket.

    Args:
        options: of a command; `addressable` names those that take addresses.

    Returns:
        The values of these options.
    """
    values = (getattr(options, name) for name in options.addressable)
    return {each for value in values for each in (value if isinstance(value, list) else [value])}


def documented(examples: str, epilog: str = "") -> dict[str, Any]:
    """Make the options of a parser whose help ends with examples.

    Args:
        examples: command lines, one a line.
        epilog: text that follows them.

    Returns:
        Keyword arguments of `ArgumentParser`.
    """
    lines = ["examples:", *(f"  {line}" for line in examples.strip().splitlines())]
    return {
        "epilog": "\n".join([*lines, *(["", epilog] if epilog else [])]),
        "formatter_class": argparse.RawDescriptionHelpFormatter,
        "allow_abbrev": False,
    }


def path_or_none(name: str) -> Path | None:
    """Convert the value of an option to a path.

    Args:
        name: a path, or nothing, as from a shell variable that is not set.

    Returns:
        The path, or None if the name is empty.
    """
    return Path(name) if name else None


def add_checkpoint_option(parser: argparse.ArgumentParser) -> None:
    """Add `--checkpoint` to a subcommand that reads a run.

    Args:
        parser: of the subcommand.
    """
    parser.add_argument(
        "--checkpoint",
        type=_checkpoint,
        default="latest",
        metavar="latest|best|STEP",
        help="checkpoint to read; best is by validation loss (default: latest)",
    )


def add_part_option(parser: argparse.ArgumentParser, verb: str) -> None:
    """Add `--part`, a `Part`, to a subcommand that jobs of an array may share.

    Args:
        parser: of the subcommand.
        verb: what is done with the share, for the help.
    """
    parser.add_argument(
        "--part",
        type=_part,
        metavar="I/N",
        help=f"{verb} only this share, in an array of N jobs that share the folder; the same command without it then"
        " writes what remains to be written",
    )


def _part(text: str) -> Part:
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    index, count = map(int, match.groups()) if match else (0, 0)
    if not 1 <= index <= count:
        raise argparse.ArgumentTypeError(f"{printable(text)} is no part, expected I/N such as 1/10")
    return Part(index, count)


def _checkpoint(name: str) -> int | str:
    if name in ("latest", "best"):
        return name
    if not (name.isascii() and name.isdecimal()):
        raise argparse.ArgumentTypeError(f"{name!r} is no checkpoint, expected latest, best or a step")
    return int(name)


def split_settings(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Separate the settings from the words that argparse knows.

    A setting is `--sources` or an option with a dot in its name, each with its value. argparse does not know settings,
    and would take the value of an early one for the preset. `--sources` without a value is no setting: it is an option
    of `aef config`.

    Args:
        arguments: words of the command line.

    Returns:
        The words for argparse, and the settings.
    """
    words, settings, rest = [], [], list(arguments)
    while rest:
        word = rest.pop(0)
        name, equals, _ = word.partition("=")
        has_value = bool(equals or (rest and not rest[0].startswith("--")))
        is_setting = (name == "--sources" and has_value) or (name.startswith("--") and "." in name)
        (settings if is_setting else words).append(word)
        if is_setting and not equals and rest:
            settings.append(rest.pop(0))
    if words == ["config"] and settings[:1] == ["--sources"]:  # aef config --sources tiny
        return [*words, "--sources", settings[1]], settings[2:]
    return words, settings
