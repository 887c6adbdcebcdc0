"""Work that goes on where it was stopped: a folder of finished pieces, with the plan that they belong to.

Jobs of an array may share the folder. The plan is written first and removed last, so that pieces are never without it.
"""

from dataclasses import dataclass
from pathlib import Path

from aef_jax.files.atomic import replace_file
from configs.serialization.read_file import read_text

_PLAN = "plan.json"


@dataclass(frozen=True)
class Part:
    """The share of the work that one job of an array does."""

    index: int
    """From 1."""
    count: int
    """Of all parts."""

    def share(self, total: int) -> range:
        """Choose the pieces of this part.

        Args:
            total: pieces of all parts.

        Returns:
            Their numbers, which follow each other.
        """
        return range(total * (self.index - 1) // self.count, total * self.index // self.count)


def begin_work(folder: Path, plan: str, other: str) -> bool:
    """Make the folder, or go on in it.

    Args:
        folder: of the finished pieces.
        plan: text that must be the same to go on.
        other: says what the folder is of if its plan differs, for the message.

    Returns:
        Whether the work goes on.

    Raises:
        ValueError: the folder is of other work.
    """
    path = folder / _PLAN
    goes_on = path.exists()
    if not goes_on:
        with replace_file(path) as temporary:
            temporary.write_text(plan)
    elif read_text(path) != plan:
        raise ValueError(f"{folder} is of {other}: remove it, or give another OUT")
    return goes_on


def end_work(folder: Path) -> None:
    """Remove the folder and all pieces.

    Args:
        folder: of the finished pieces.
    """
    for path in sorted(folder.iterdir(), key=lambda path: path.name == _PLAN):
        path.unlink()
    folder.rmdir()
