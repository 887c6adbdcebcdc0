"""The marked blocks of the project's pages, which tests and CI run.

A block is preceded by `<!-- test: NAME -->` if a test runs it, by `<!-- ci: NAME -->` if `.ci/run` does.
"""

import re
from typing import NamedTuple

from tests.support.paths import REPOSITORY

DOCUMENTS = tuple(
    REPOSITORY / name
    for name in ("README.md", "CONTRIBUTING.md", "aef_jax/README.md", "aef_jax/data/README.md", "parity/README.md")
)


class Block(NamedTuple):
    """One fenced block of a page."""

    runner: str
    """"test", "ci", or empty if nothing marks it."""
    name: str
    language: str
    text: str


def blocks() -> list[Block]:
    """List the fenced blocks of all pages.

    Returns:
        The blocks in the order of the pages.
    """
    pattern = r"(?:<!-- (test|ci): (\w+) -->\n)?```(\w*)\n(.*?)```\n"
    return [Block(*match) for page in DOCUMENTS for match in re.findall(pattern, page.read_text(), re.DOTALL)]


def block(name: str) -> str:
    """Find a block by its mark.

    Args:
        name: in its mark, `<!-- test: NAME -->` or `<!-- ci: NAME -->`.

    Returns:
        The text of the only block of that name.
    """
    (text,) = [block.text for block in blocks() if block.name == name]
    return text
