"""Keep two trainings out of one folder.

The first process holds `flock` on a file of the run's folder until it ends, however it ends: a lock is never stale. The
file says who holds it. Commands that only read a run take no lock.
"""

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from aef_jax.files.processes import is_alive
from aef_jax.sharding.distributed import on_first
from configs.serialization.printable import printable_value
from configs.serialization.strict_json import read_json

LOCK_FILE = "training.lock"
"""Name of the file. It is removed when training ends, and stays after a kill."""
HOST, PID, TIME = "host", "pid", "time"
"""Keys of its JSON."""


@contextmanager
def training_lock(folder: Path) -> Iterator[None]:
    """Hold the lock of a run's folder while the context is entered. Of several processes, the first one takes it.

    Args:
        folder: the run's folder, which is created if it does not exist.

    Yields:
        Nothing.

    Raises:
        ValueError: another process trains in the folder; the message names it.
    """
    with ExitStack() as stack:
        on_first(lambda: stack.enter_context(_exclusive(folder)))
        yield


@contextmanager
def _exclusive(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK_FILE
    file = _open_locked(path)
    try:
        holder = {HOST: socket.gethostname(), PID: os.getpid(), TIME: datetime.now(UTC).isoformat(timespec="seconds")}
        os.ftruncate(file, 0)
        os.pwrite(file, json.dumps(holder).encode(), 0)
        yield
    finally:
        path.unlink(missing_ok=True)  # while it is locked: nobody else can hold it
        os.close(file)


def _open_locked(path: Path) -> int:
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            _lock(path, file)
        except BaseException:
            os.close(file)
            raise
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file), path.stat()):
                return file
        os.close(file)  # its holder removed it between the two calls


def _lock(path: Path, file: int) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ValueError(_refusal(path)) from None
    except OSError:  # a file system without locks: a process of this host is known by its number
        holder = _holder(path)
        if holder.get(HOST) == socket.gethostname() and is_alive(holder.get(PID)):
            raise ValueError(_refusal(path)) from None


def _refusal(path: Path) -> str:
    holder = {name: printable_value(value) for name, value in _holder(path).items()}
    who = f"process {holder.get(PID, 'unknown')} on host {holder.get(HOST, 'unknown')} since {holder.get(TIME, '?')}"
    return f"{path.parent} is being trained in by {who}: wait until it ends, or give another folder with --run"


def _holder(path: Path) -> dict:
    with suppress(ValueError, OSError):  # it is being written or removed
        tree = read_json(path)
        return tree if isinstance(tree, dict) else {}
    return {}
