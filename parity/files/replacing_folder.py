"""Folders that appear whole or not at all."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def check_file(target: Path, overwrite: bool) -> None:
    """Raises ValueError where a file cannot take the place of what is there, or is not to."""
    _check_absent(target, overwrite)
    if target.is_dir():
        raise ValueError(f"{target} is a folder, expected the name of a file")


def check_folder(target: Path, overwrite: bool, is_ours: Callable[[str], bool]) -> None:
    """Raises ValueError where a folder is not to take the place of what is there.

    With `overwrite` it may, of a folder that holds nothing but names that are `is_ours`: other things would be lost.
    """
    _check_absent(target, overwrite)
    if not _is_there(target):
        return
    names = sorted(path.name for path in target.iterdir()) if target.is_dir() else [target.name]
    more = [name for name in names if not (target.is_dir() and is_ours(name))]
    if more:
        raise ValueError(f"{target} holds more than converted weights ({more[0]}): it is not overwritten")


@contextmanager
def replacing_folder(target: Path, overwrite: bool, is_ours: Callable[[str], bool]) -> Iterator[Path]:
    """Gives a temporary folder beside `target`, which takes its place at the end, or is removed after an exception.

    Raises ValueError as `check_folder`, at once.
    """
    check_folder(target, overwrite, is_ours)
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
        if old.exists() and not target.exists():  # the new one could not take its place
            old.rename(target)
        shutil.rmtree(temporary, ignore_errors=True)


def _check_absent(target: Path, overwrite: bool) -> None:
    if _is_there(target) and not overwrite:
        raise ValueError(f"{target} exists already: give another name, or --overwrite")


def _is_there(target: Path) -> bool:
    return target.exists() or target.is_symlink()
