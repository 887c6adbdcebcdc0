"""Names and texts from files, made safe to print: on a terminal, in a page, in a picture, in a tag of a file."""

from html import escape
from typing import Any, TextIO

LONGEST_NAME = 200
"""The most characters of a name."""
LONGEST_SENTENCE = 2_000
"""The most characters of a message that a command prints."""


def printable(name: str, longest: int | None = LONGEST_NAME) -> str:
    """Make a name from a file safe to print: escape control characters, and cut a very long name short.

    Args:
        name: the name in the file.
        longest: the most characters of it that are repeated; None for all.

    Returns:
        The printable text, on one line.
    """
    text = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in name[:longest])
    return text if longest is None or len(name) <= longest else f"{text}..."


def printable_value(value: Any) -> str:
    """Describe a value from a file, of any type and size, in a message.

    Args:
        value: such as parsed JSON.

    Returns:
        The start of its `repr`, printable.
    """
    return printable(repr(value))


def printable_lines(text: str) -> str:
    """Escape control characters in a text of several lines.

    Args:
        text: lines that hold names from files. A name must not hold a line break: it would look like a line.

    Returns:
        The same lines.
    """
    return "\n".join(printable(line, longest=None) for line in text.split("\n"))


def html_text(text: str) -> str:
    """Escape a text for a page: for HTML, and what changes the direction or the look of the text beside it.

    Args:
        text: a text with names from files.

    Returns:
        HTML, also for an attribute in quotes.
    """
    return escape(printable_lines(text))


def picture_text(name: str) -> str:
    """Make a name safe to draw with Matplotlib, which would take what is between two dollar signs for a formula.

    Args:
        name: a name from a file.

    Returns:
        The printable name, its dollar signs escaped.
    """
    return printable(name).replace("$", r"\$")


def print_lines(text: object, end: str = "\n", file: TextIO | None = None) -> None:
    """Print what a command has to say. Every command prints by it, so that no name from a file reaches a terminal raw.

    Args:
        text: one or more lines, possibly with names from files.
        end: what follows the text.
        file: where to print; None for standard output.
    """
    print(printable_lines(str(text)), end=end, file=file, flush=True)


def sentence(error: BaseException, longest: int = 400) -> str:
    """Return an error's message on one printable line of bounded length.

    Args:
        error: any exception; its message may repeat names from files.
        longest: the most characters of it that are repeated.

    Returns:
        The message, or the name of the exception if it has none.
    """
    return printable(" ".join(str(error).split()), longest) or type(error).__name__


def require_printable(what: str, name: Any) -> str:
    """Require that a name has 1 to `LONGEST_NAME` characters, and that all of them can be printed.

    Args:
        what: what the name is of, for the message.
        name: the name, of any type.

    Returns:
        The name.

    Raises:
        ValueError: it is no such name.
    """
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise ValueError(
            f"{what} is called {printable_value(name)}, expected 1 to {LONGEST_NAME} characters that can be printed"
        )
    return name
