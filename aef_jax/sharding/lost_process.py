"""Say in one sentence that another process of the run was lost, where JAX aborts this one with a stack trace.

JAX's coordination service notices that a process has ended or no longer answers. It then aborts all others from a
thread of C++, which Python can neither catch nor follow. So a small second process reads what C++ writes to stderr, and
has the last word.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

HEARTBEAT_S = 30
"""How long a process may be silent before the others are ended; half a minute remains for them to end."""
_SERVICE = re.compile(r"[EFW]\d{4} \S+ +\d+ (coordination_service|preemption_sync_manager|client\.h)")
_FATAL = re.compile(r"F\d{4} \S+ +\d+ client\.h")
_SILENT = re.compile(r"stopped sending heartbeats\):\n((?:[^\n]*\d\n)+)")


def watch_stderr(folder: Path, processes: str) -> None:
    """Start the process that reads this one's stderr below Python; what Python writes there does not pass through it.

    Args:
        folder: the run's folder, whose last checkpoint is named.
        processes: how this process looks for the others, for the sentence on those that never came.
    """
    command = [sys.executable, "-m", "aef_jax.sharding.lost_process", str(folder), processes]
    watcher = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert watcher.stdin is not None
    sys.stderr.flush()
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace")
    os.dup2(watcher.stdin.fileno(), 2)
    watcher.stdin.close()


def _pass_on(lines: Iterable[str], folder: Path, processes: str) -> str:
    """Pass lines on until the service writes some; return what to write once there are no more."""
    of_service = ""
    for line in lines:
        if of_service or _SERVICE.match(line):
            of_service += line
        else:
            sys.stderr.write(line)
            sys.stderr.flush()
    if not any(map(_FATAL.match, of_service.splitlines())):
        return of_service
    return f"\naef: {lost(of_service, processes)}; {last_checkpoint(folder)}: start all processes again\n"


def lost(of_service: str, processes: str) -> str:
    """Say which process was lost.

    Args:
        of_service: what JAX's coordination service wrote.
        processes: how this process looked for the others.

    Returns:
        A clause.
    """
    if silent := _SILENT.search(of_service):
        numbers = re.findall(r"(\d+)\n", silent[1])
        which = f"process {numbers[0]}" if len(numbers) == 1 else f"processes {', '.join(numbers)}"
        return f"{which} ended or stopped answering"
    if "RegisterTask" in of_service:
        return f"the processes did not all come together in time: {processes}"
    if "Barrier" in of_service:
        return "another process ended before its time"
    return "process 0 ended or stopped answering"


def last_checkpoint(folder: Path) -> str:
    """Say which checkpoint of a run is the last. Orbax, which takes seconds to import, is not asked.

    Args:
        folder: the run's folder.

    Returns:
        A clause.
    """
    steps = [int(path.name) for path in (folder / "checkpoints").glob("*") if path.name.isdecimal()]
    if not steps:
        return f"{folder} holds no checkpoint yet"
    return f"the last checkpoint is that of step {max(steps)}"


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):  # they are meant for the training, whose end is the end of this
        signal.signal(number, signal.SIG_IGN)
    with open(0, errors="replace") as of_training:
        sys.stderr.write(_pass_on(of_training, Path(sys.argv[1]), sys.argv[2]))
