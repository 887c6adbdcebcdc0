"""Files and folders that appear whole or not at all.

Each is written to a temporary name beside its place and then renamed. After an exception the temporary one is removed.
After a kill it stays, as `.NAME.HOST-PROCESS-TOKEN-NUMBER.tmp`, and what was there before is untouched; whoever writes
the same file or folder next on that host removes it.
"""

import itertools
import os
import re
import secrets
import shutil
import socket
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from aef_jax.files.processes import is_alive

_HOST = f"{zlib.crc32(socket.gethostname().encode()):08x}"
_TOKEN = secrets.token_hex(4)
"""Tells this process from a dead one with its number: in a restarted container, the numbers are the same."""
_NUMBERS = itertools.count()


@contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Write a file that takes the place of `path` at the end of the context, unless an exception ends it.

    Args:
        path: the file, which may exist. Parent folders are created.

    Yields:
        A temporary path to write to.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path, "tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replace_folder(
    target: Path, overwrite: bool = False, may_replace: Callable[[str], bool] = lambda name: False
) -> Iterator[Path]:
    """Write a folder that takes the place of `target` at the end of the context, unless an exception ends it.

    Args:
        target: the folder. Parent folders are created.
        overwrite: replace a folder that exists.
        may_replace: decides by its name whether a file of the existing folder may be lost.

    Yields:
        A temporary folder to write into.

    Raises:
        ValueError: as `require_folder_target`, before anything is written.
    """
    require_folder_target(target, overwrite, may_replace)
    with temporary_folder(target) as temporary:
        yield temporary
        old = _beside(target, "old")
        try:
            if overwrite and target.exists():
                target.rename(old)
            temporary.rename(target)
            shutil.rmtree(old, ignore_errors=True)
        finally:
            if old.exists() and not target.exists():  # the new folder could not take its place
                old.rename(target)


@contextmanager
def temporary_folder(path: Path) -> Iterator[Path]:
    """Create a folder beside a path, and remove it at the end of the context if it still has its temporary name.

    Args:
        path: what the folder will be, or belongs to. Parent folders are created.

    Yields:
        The folder, `.NAME.HOST-PROCESS-TOKEN-NUMBER.tmp`.
    """
    temporary = _beside(path, "tmp")
    temporary.mkdir(parents=True)
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def require_file_target(target: Path, overwrite: bool) -> None:
    """Refuse to write a file over what must not be lost.

    Args:
        target: the file to write.
        overwrite: whether a file may be replaced.

    Raises:
        ValueError: something is there and is not to be overwritten, or is a folder.
    """
    _require_absent(target, overwrite)
    require_writable(target)
    if target.is_dir():
        raise ValueError(f"{target} is a folder, expected the name of a file")


def require_folder_target(target: Path, overwrite: bool, may_replace: Callable[[str], bool]) -> None:
    """Refuse to write a folder over what must not be lost.

    Args:
        target: the folder to write.
        overwrite: whether a folder may be replaced.
        may_replace: decides by its name whether a file of the existing folder may be lost.

    Raises:
        ValueError: something is there and is not to be overwritten, is a file, or holds other files too.
    """
    remove_leftovers(target)
    _require_absent(target, overwrite)
    require_writable(target)
    if not _exists(target):
        return
    names = sorted(path.name for path in target.iterdir()) if target.is_dir() else [target.name]
    others = [name for name in names if not (target.is_dir() and may_replace(name))]
    if others:
        raise ValueError(f"{target} holds other files ({others[0]}): it is not overwritten")


def require_writable(target: Path) -> None:
    """Refuse what cannot be written before the work, which may take hours, and not after it.

    Args:
        target: the file or folder to write. Folders above it need not exist.

    Raises:
        ValueError: the nearest folder that exists takes no file of this name, or is none.
    """
    folder = target.absolute().parent
    while not _exists(folder):
        folder = folder.parent
    if not folder.is_dir():
        raise ValueError(f"{target} cannot be written: {folder} is no folder")
    trial = _beside(folder / target.name, "tmp")
    try:
        trial.write_bytes(bytes(4096))
    except OSError as error:
        raise ValueError(f"{target} cannot be written: {error.strerror}") from error
    finally:
        with suppress(OSError):
            trial.unlink()


def remove_leftovers(path: Path) -> None:
    """Remove what killed processes of this host left beside a path, and put back what one had moved away.

    What belongs to a living process or to another host stays.

    Args:
        path: the file or folder that they were writing.
    """
    pattern = re.compile(re.escape(f".{path.name}.{_HOST}-") + r"(\d+)-([0-9a-f]{8})-\d+\.(tmp|old)")
    with suppress(OSError):  # no such folder, or another process removes them too
        for left in path.parent.iterdir():
            match = pattern.fullmatch(left.name)
            if match is None or _lives(int(match[1]), match[2]):
                continue
            if match[3] == "old" and not _exists(path):
                left.rename(path)
            elif left.is_dir() and not left.is_symlink():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)


def _lives(pid: int, token: str) -> bool:
    return token == _TOKEN if pid == os.getpid() else is_alive(pid)


def _beside(path: Path, ending: str) -> Path:
    """Name a temporary file or folder, and remove those that killed processes left for the same path."""
    remove_leftovers(path)
    return path.with_name(f".{path.name}.{_HOST}-{os.getpid()}-{_TOKEN}-{next(_NUMBERS)}.{ending}")


def _require_absent(target: Path, overwrite: bool) -> None:
    if _exists(target) and not overwrite:
        raise ValueError(f"{target} exists already: give another name, or --overwrite")


def _exists(target: Path) -> bool:
    return target.exists() or target.is_symlink()
