"""The README's blocks that tests run."""

import re

from tests.support.paths import REPOSITORY

README = REPOSITORY / "README.md"


def block(name: str, language: str = "python") -> str:
    """The block that is marked `<!-- test: NAME -->`."""
    found = re.search(rf"<!-- test: {name} -->\n```{language}\n(.*?)```", README.read_text(), re.DOTALL)
    assert found, f"the README has no block {name}"
    return found[1]
