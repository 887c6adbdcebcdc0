"""Names from files, made safe to print."""

LONGEST_NAME = 200
"""The most characters of a name that a message repeats."""


def printable(name: str) -> str:
    """Make a name from a file safe to print: escape control characters, and cut a very long name short.

    Args:
        name: the name in the file.

    Returns:
        The printable text.
    """
    text = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in name[:LONGEST_NAME])
    return text if len(name) <= LONGEST_NAME else f"{text}..."
