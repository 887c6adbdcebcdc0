"""Folders that appear whole or not at all."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing_folder(target: Path, overwrite: bool, is_ours: Callable[[str], bool]) -> Iterator[Path]:
    """Gives a temporary folder beside `target`, which takes its place at the end, or is removed after an exception.

    With `overwrite` it takes the place of a folder that holds nothing but names that are `is_ours`: other things would
    be lost. Raises ValueError where there are some.
    """
    if overwrite and target.exists():
        names = sorted(path.name for path in target.iterdir()) if target.is_dir() else [target.name]
        more = [name for name in names if not (target.is_dir() and is_ours(name))]
        if more:
            raise ValueError(f"{target} holds more than converted weights ({more[0]}): it is not overwritten")
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary, old = (target.with_name(f".{target.name}.{os.getpid()}.{end}") for end in ("tmp", "old"))
    temporary.mkdir()
    try:
        yield temporary
        if overwrite and target.exists():
            target.rename(old)
        temporary.rename(target)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
