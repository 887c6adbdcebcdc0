"""Kill commands at chosen moments, as processes of their own."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

TIMEOUT_S = 300

Kill = Callable[[subprocess.Popen], None]
"""Waits for the moment to kill the process."""


def started(words: Iterable[object], environment: dict[str, str]) -> subprocess.Popen:
    """Start `python -m` with these words, quietly."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen([sys.executable, "-m", *map(str, words)], env=environment, **quiet)


def kill_command(words: Iterable[object], environment: dict[str, str], kill: Kill) -> None:
    """Start a command, and kill it at a moment before its end."""
    with started(words, environment) as process:
        kill(process)
        process.kill()
    assert process.returncode == -signal.SIGKILL, "it ended before it could be killed: give it more to do"


def run_command(words: Iterable[object], environment: dict[str, str]) -> None:
    """Run a command to its end."""
    with started(words, environment) as process:
        assert process.wait(TIMEOUT_S) == 0


def wait(seconds: float, _: subprocess.Popen) -> None:
    """Wait some time; bind its length with `partial`."""
    time.sleep(seconds)


def wait_for_temporary(folder: Path, seconds: float, process: subprocess.Popen) -> None:
    """Wait until the process writes a temporary file or folder into a folder, and then some time."""
    before = set(temporaries(folder))
    until(process, lambda: bool(set(temporaries(folder)) - before))
    time.sleep(seconds)


def temporaries(folder: Path) -> list[Path]:
    """List what has a temporary name in a folder."""
    return list(folder.glob(".*.tmp"))


def until(process: subprocess.Popen, happened: Callable[[], bool]) -> None:
    """Wait until something has happened, or the process has ended."""
    deadline = time.monotonic() + TIMEOUT_S
    while not happened() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.001)
