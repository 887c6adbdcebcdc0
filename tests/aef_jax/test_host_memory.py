"""On a CPU a step's memory is kept for the next step."""

import os
import subprocess
import sys

import pytest

from aef_jax import cli

FAULTS = """
import resource, sys
import jax, jax.numpy as jnp
from aef_jax.host_memory import keep_memory

if sys.argv[1] == "kept":
    keep_memory()
grow = jax.jit(lambda x: jnp.sin(jnp.cumsum(jnp.outer(x, x), axis=0)))
x = jnp.ones(4096)
for _ in range(8):  # small things lie down in between at first
    jax.block_until_ready(grow(x))
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(8):
    jax.block_until_ready(grow(x))
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
PAGES = 4096 * 4096 * 4 // 4096
"""Of one result, 64 MiB."""


def _page_faults(mode: str) -> int:
    environment = os.environ | {"JAX_NUM_CPU_DEVICES": "1", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, "-c", FAULTS, mode], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="what mallopt keeps is glibc's, on Linux")
def test_memory_of_a_step_is_kept():
    assert _page_faults("anew") > 8 * PAGES
    assert _page_faults("kept") < 2 * PAGES


def test_training_by_the_command_keeps_it(tmp_path, monkeypatch):
    monkeypatch.setattr("aef_jax.host_memory.keep_memory", lambda: pytest.fail("kept"))
    with pytest.raises(pytest.fail.Exception, match="kept"):
        cli.main(["train", "tiny", "--run", str(tmp_path / "run")])
