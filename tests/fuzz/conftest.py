"""Bound the memory of fuzz tests: what takes more fails with MemoryError."""

import resource
from pathlib import Path

import pytest

MAX_BYTES = 2**28
"""More than any of them needs beside the process itself."""


@pytest.fixture(autouse=True)
def _bounded_memory():
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MAX_BYTES, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)
