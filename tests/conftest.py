"""Settings for all tests: XLA's flags, quick compilation and the order of slow tests."""

import gc
import os
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import version
from typing import Any

import pytest
from jaxtyping import config, install_import_hook

pytest.register_assert_rewrite("tests.support")

# Tracing makes many objects that live on; with Python's thresholds, collections took a tenth of the slow tests' time.
gc.set_threshold(200_000, 20, 100)

# Functions of these packages compare their arguments and results with the shapes and dtypes of their annotations, also
# while JAX traces them. The hook must be installed before the packages are imported; it looks its checker up by name.
import_module("tests.support.type_checker")
install_import_hook(
    [
        "aef_jax.kernels",
        "aef_jax.model",
        "aef_jax.sharding",
        "aef_jax.training.losses",
        "aef_jax.training.objective",
        "aef_jax.training.optimizer",
        "aef_jax.training.step",
        "aef_torch",
        "configs.encodings",
    ],
    "tests.support.type_checker.typechecked",
)

# Splitting a program among compiler threads costs a sixth more CPU time, and pytest's workers share the cores already.
fast_compile_flags = "--xla_cpu_parallel_codegen_split_count=1"
if tuple(map(int, version("jaxlib").split(".")[:2])) < (0, 11):
    # The fusion emitters make slightly faster code but take most of XLA's compile time on a CPU. Since 0.11 XLA has no
    # other emitters, and it aborts on a flag that it does not know.
    fast_compile_flags += " --xla_cpu_use_fusion_emitters=false"
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {fast_compile_flags}".strip()

pytest_plugins = ["pytester"]  # for the tests of parity's plugin


@pytest.fixture(scope="session")
def compiler_settings(tmp_path_factory) -> dict[str, Any]:
    """JAX settings that compile with little optimization and share compiled programs among all processes."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # the parent is common to all workers
    return {
        "jax_disable_most_optimizations": True,
        "jax_compilation_cache_dir": str(folder / "compiled"),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
    }


@pytest.fixture
def unchecked_types() -> Iterator[None]:
    """Leave annotations unchecked, for tests of what the code itself says of wrong types."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)


@pytest.fixture(scope="module")
def quick_compiles(compiler_settings) -> Iterator[None]:
    """Apply `compiler_settings` to the tests of a module."""
    from tests.support.compiling import applied  # imports jax, which reads XLA_FLAGS

    with applied(compiler_settings):
        yield


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let each worker of pytest-xdist begin with slow tests, so that all end with fast ones, at about the same time.

    `--dist worksteal` gives each worker one part of the list, and moves tests from its end to workers without any.
    """
    workers = int(getattr(config, "workerinput", {}).get("workercount", 1))
    slow = [item for item in items if item.get_closest_marker("slow")]
    fast = [item for item in items if not item.get_closest_marker("slow")]
    items[:] = [
        item
        for worker in range(workers)
        for kind in (slow, fast)
        for item in kind[worker * len(kind) // workers : (worker + 1) * len(kind) // workers]
    ]
