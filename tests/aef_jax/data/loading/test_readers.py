"""Worker processes read the same examples in the same order, and end with the training process."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from threading import Timer

import jax
import numpy as np
import pytest

from aef_jax.data.loading import readers
from aef_jax.data.loading.pipeline import HostExamples, training_batches
from aef_jax.data.loading.readers import pack, unpack
from tests.support.data.small_site import CONFIG, schema_of, small_site
from tests.support.paths import REPOSITORY

SITE = small_site()
SMALL = replace(CONFIG, training=replace(CONFIG.training, steps=5, warmup_steps=1, batch=4))


def _examples(workers: int, site=SITE) -> HostExamples:
    config = replace(SMALL, data=replace(SMALL.data, workers=workers))
    return HostExamples([site], schema_of(config), config)


def _same(tree, other) -> bool:
    return jax.tree.structure(tree) == jax.tree.structure(other) and all(
        jax.tree.leaves(jax.tree.map(lambda a, b: a.dtype == b.dtype and np.array_equal(a, b), tree, other))
    )


def test_unpacking_a_packed_example_gives_it_back():
    example = _examples(0)[3]
    assert len({leaf.dtype for leaf in jax.tree.leaves(example)}) > 2
    assert _same(unpack(pack(example)), example)
    without_text = example._replace(text=None)
    assert _same(unpack(pack(without_text)), without_text)


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "done"), [(1, 0), (3, 1), (5, 4)])
def test_processes_read_as_threads_do_from_any_step(workers, done):
    """Three workers share sixteen examples as 6, 5 and 5; one of five workers reads none of four."""
    expected = list(training_batches(_examples(0), steps_done=done))
    with closing(training_batches(_examples(workers), steps_done=done)) as batches:
        read = list(batches)
    assert len(read) == SMALL.training.steps - done
    assert _same(read, expected)


@pytest.mark.slow
def test_site_errors_are_the_same_with_processes_and_threads():
    tiny = SITE.window(slice(0, 8), slice(0, 8))
    with (
        closing(training_batches(_examples(1, tiny))) as batches,
        pytest.raises(ValueError, match="8 x 8 pixels, expected at least one tile"),
    ):
        next(batches)


def test_too_little_shared_memory_is_refused_before_reading(monkeypatch, tmp_path):
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(readers, "SHARED_MEMORY", tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(2**20))
    with pytest.raises(ValueError, match=r"workers is 2, whose examples take .* GiB of shared memory, .* --shm-size"):
        training_batches(_examples(2))


PROGRAM = """
import signal, sys, time
from tests.aef_jax.data.loading.test_readers import _examples
from aef_jax.data.loading.pipeline import training_batches

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: None)
    batches = training_batches(_examples(2))
    print("begun", flush=True)
    next(batches)
    print("read", flush=True)
    time.sleep(60)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a process's children are found in Linux's /proc")
def test_reader_processes_end_when_their_parent_is_killed(tmp_path):
    """A signal to the whole job does not end them earlier, neither during their start nor later."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(REPOSITORY), *sys.path])}
    command = [sys.executable, str(program)]
    options = {"env": environment, "stdout": subprocess.PIPE, "text": True, "start_new_session": True}
    with subprocess.Popen(command, **options) as process:
        Timer(120, process.kill).start()  # instead of waiting forever
        assert process.stdout.readline() == "begun\n"
        os.killpg(process.pid, signal.SIGTERM)
        assert process.stdout.readline() == "read\n"
        reading = [pid for pid in _children(process.pid) if "spawn_main" in _command(pid)]
        assert len(reading) == 2
        os.killpg(process.pid, signal.SIGTERM)
        time.sleep(0.5)
        assert all(_alive(pid) for pid in reading)
        process.kill()
    deadline = time.monotonic() + 30
    while any(_alive(pid) for pid in reading):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _children(pid: int) -> list[int]:
    children = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):  # it may have ended
            children += map(int, (thread / "children").read_text().split())
    return children


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
