"""The README's blocks of Python, which tests run."""

import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def python_block(name: str) -> str:
    """The block that is marked `<!-- test: NAME -->`."""
    found = re.search(rf"<!-- test: {name} -->\n```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert found, f"the README has no block {name}"
    return found[1]
