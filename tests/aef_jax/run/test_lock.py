"""A second training in a folder ends in one sentence; a lock ends with its process (row 16 of the users' cases)."""

import errno
import json
import os
import socket
import subprocess
import sys

import pytest

from aef_jax.run import lock
from aef_jax.run.lock import LOCK_FILE, training_lock
from tests.support.refusals import error_message

HOLD = """
import sys
from pathlib import Path
from aef_jax.run.lock import training_lock
with training_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def take(folder) -> None:
    with training_lock(folder):
        pass


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.mark.slow
def test_a_second_training_names_the_first(holder, tmp_path):
    message = error_message(take, tmp_path)
    assert message.startswith(
        f"{tmp_path} is being trained in by process {holder.pid} on host '{socket.gethostname()}'"
    )
    assert message.endswith("wait until it ends, or give another folder with --run")


@pytest.mark.slow
def test_the_lock_of_a_killed_training_is_taken(holder, tmp_path):
    holder.kill()
    holder.wait()
    assert (tmp_path / LOCK_FILE).exists()
    with training_lock(tmp_path):
        assert json.loads((tmp_path / LOCK_FILE).read_text())["pid"] == os.getpid()
    assert not list(tmp_path.iterdir())


def test_a_lock_is_free_after_it_was_left(tmp_path):
    take(tmp_path / "new")
    with training_lock(tmp_path / "new"):
        assert "is being trained in by process" in error_message(take, tmp_path / "new")
    take(tmp_path / "new")


def test_without_flock_a_process_of_this_host_is_known(tmp_path, monkeypatch):
    def unsupported(*_):
        raise OSError(errno.ENOTSUP, "not supported")

    monkeypatch.setattr(lock.fcntl, "flock", unsupported)
    with training_lock(tmp_path):
        assert f"is being trained in by process {os.getpid()}" in error_message(take, tmp_path)
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    elsewhere = {"host": "elsewhere", "pid": os.getpid(), "time": "2026-01-01"}
    for content in (elsewhere, elsewhere | {"host": socket.gethostname(), "pid": ended.pid}, [], 3):
        (tmp_path / LOCK_FILE).write_text(json.dumps(content))
        take(tmp_path)
