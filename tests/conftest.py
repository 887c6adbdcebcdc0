import os
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import pytest

# splitting a program takes a sixth more of the processors' time, which pytest's workers share already
quicker = "--xla_cpu_parallel_codegen_split_count=1"
if tuple(map(int, version("jaxlib").split(".")[:2])) < (0, 11):
    # the emitters make code a little faster and take most of the time in which XLA compiles it for a CPU; later ones
    # have no others, and end a process that is given a flag which they do not know
    quicker += " --xla_cpu_use_fusion_emitters=false"
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {quicker}".strip()

pytest_plugins = ["pytester"]  # to test the plugin of parity

pytest.register_assert_rewrite(
    "embedding_loss_contract", "loss_contract", "model_contract", "refusals", "von_mises_fisher"
)


@pytest.fixture(scope="session")
def compiler_settings(tmp_path_factory) -> dict[str, Any]:
    """To compile with little optimisation, and each program once for all processes."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # all workers' own
    return {
        "jax_disable_most_optimizations": True,
        "jax_compilation_cache_dir": str(folder / "compiled"),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
    }


@pytest.fixture(scope="module")
def quick_compiles(compiler_settings) -> Iterator[None]:
    from tests.support.compiling import applied  # not before the environment is set

    with applied(compiler_settings):
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("long") is None)  # all else stays in its order
