"""On a CPU the process keeps a step's memory for the next step."""

import os
import subprocess
import sys

import pytest

from aef_jax.cli import main as cli

FAULTS = """
import resource, sys
import jax, jax.numpy as jnp
from aef_jax.sharding.host_memory import keep_memory

if sys.argv[1] == "kept":
    keep_memory()
grow = jax.jit(lambda x: (jnp.outer(x, x), jnp.outer(x, x + 1)))
x = jnp.ones(4096)
for _ in range(8):  # small allocations settle in between at first
    jax.block_until_ready(grow(x))
faults = []
for _ in range(5):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(8):
        jax.block_until_ready(grow(x))
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(sorted(faults)[2])
"""
PAGES = 4096 * 4096 * 4 // 4096
"""Size of one of two results, 64 MiB."""

ASYNCHRONOUS = """
import jax
from aef_jax.sharding.host_memory import keep_memory

keep_memory()
print(int(jax.config.values["jax_cpu_enable_async_dispatch"]))
"""


def _printed(program: str, *arguments: str, **variables: str) -> int:
    environment = os.environ | {"JAX_NUM_CPU_DEVICES": "1", "JAX_PLATFORMS": "cpu"} | variables
    done = subprocess.run([sys.executable, "-c", program, *arguments], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="what mallopt keeps is glibc's, on Linux")
def test_memory_of_a_step_is_kept():
    assert _printed(FAULTS, "anew") > 8 * PAGES
    # the median of five spans: rarely a small allocation lies in between, and a result takes new pages
    assert _printed(FAULTS, "kept") < 2 * PAGES


@pytest.mark.slow
def test_several_devices_still_compute_beside_their_caller():
    """Otherwise their collectives were seen to wait for each other forever."""
    several = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    assert _printed(ASYNCHRONOUS) == 0
    assert _printed(ASYNCHRONOUS, JAX_NUM_CPU_DEVICES="2") == 1
    assert _printed(ASYNCHRONOUS, **several) == 1


def test_training_by_the_command_keeps_it(tmp_path, monkeypatch):
    monkeypatch.setattr("aef_jax.sharding.host_memory.keep_memory", lambda: pytest.fail("kept"))
    with pytest.raises(pytest.fail.Exception, match="kept"):
        cli.main(["train", "tiny", "--run", str(tmp_path / "run")])
