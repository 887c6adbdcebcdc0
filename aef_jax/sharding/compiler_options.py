"""XLA's compiler options for functions that run on a mesh, by platform."""

import jax
from jax.sharding import Mesh

FAST_CPU_COMPILE = {
    "xla_backend_optimization_level": "1",
    "xla_llvm_disable_expensive_passes": "True",
    # XLA's newer emitters compile each fused loop as a module of its own; JAX 0.11 has no others
    **({"xla_cpu_use_fusion_emitters": "False"} if jax.__version_info__ < (0, 11) else {}),
}
"""Halves the compile time of the step of `tiny` with JAX 0.10 (22 s of CPU time instead of 43). Its step takes as long:
products and convolutions are library calls."""
LEAST_EFFORT = {"xla_backend_optimization_level": "0"}


def compiler_options(mesh: Mesh, gradients: bool = False) -> dict[str, str]:
    """Choose the compiler options for a function.

    CPU: in XLA's default schedule, each of its few threads may wait in a collective that other devices have not
    reached, and XLA then ends the process. With JAX 0.12 and four devices on two cores that happened in four runs of
    five within a hundred steps. With the memory-optimized schedule every run finished, and a step of the preset `tiny`
    took no longer. If other programs keep the cores busy, a device may also reach a collective later than the 40 s
    after which XLA would end the process, so the timeout is longer.

    TPU: by default nothing is computed while frames are exchanged for rows; the option lets other operators run.

    Args:
        mesh: the devices.
        gradients: whether the function computes gradients.

    Returns:
        Options for `jax.jit`.
    """
    match mesh.devices.flat[0].platform:
        case "cpu":
            return {
                "xla_cpu_scheduler_type": "CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED",
                "xla_cpu_collective_call_terminate_timeout_seconds": "600",
                **FAST_CPU_COMPILE,
                **(LEAST_EFFORT if jax.config.values["jax_disable_most_optimizations"] else {}),  # or 1 would win
                **(_cpu_libraries(gradients) if mesh.size == 1 else {}),
            }
        case "tpu":
            return {"xla_tpu_enable_async_all_to_all": "true"}
        case "gpu":
            return _gpu_kernels(gradients)
        case _:
            return {}


def one_off_options(mesh: Mesh) -> dict[str, str]:
    """Choose the compiler options for a program that runs once: the least effort.

    Args:
        mesh: the devices.

    Returns:
        Options for `jax.jit`.
    """
    is_cpu = mesh.devices.flat[0].platform == "cpu"
    return {**(FAST_CPU_COMPILE if is_cpu else {}), **LEAST_EFFORT}


def _gpu_kernels(gradients: bool) -> dict[str, str]:
    """Choose which kernels XLA searches for, so that each search is worth its time.

    With all of them (tilings of a Triton kernel for each norm and softmax, and dozens of kernels for each product) the
    step of `small` did not compile for an H200 in four minutes; without both it compiled in two. Without gradients,
    Triton's products are worth it: 6 % less time for an embedding, for 38 s of compilation instead of 29 s. Its norms
    are not: 1.5 % less time, for twice the search.
    """
    without_norms = {"xla_disable_hlo_passes": "triton-softmax-rewriter"}
    return without_norms | {"xla_gpu_enable_triton_gemm": "False"} if gradients else without_norms


def _cpu_libraries(gradients: bool) -> dict[str, str]:
    """Choose the library for each kind of operation on a single CPU device.

    Convolutions: oneDNN, which XLA has from JAX 0.11 on, or Eigen. Never YNNPACK, whose 3x3 convolutions take up to 1.7
    times as long.

    Products: oneDNN through its graphs, because its custom calls compute a sum with a transposed product wrong.
    Otherwise YNNPACK, each product by itself.

    Sums over rows, frequent in gradients: YNNPACK, because XLA's own would make a step 1.7 times as long. Not without
    gradients: the sum of a norm would take the convolution that follows into YNNPACK.
    """
    ynnpack = ["LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT", *(["LIBRARY_FUSION_TYPE_REDUCE"] if gradients else [])]
    options = {"xla_cpu_experimental_ynn_fusion_type": ",".join(ynnpack)}
    if jax.__version_info__ < (0, 11):
        return options
    return options | {
        "xla_cpu_use_onednn": "True",
        "xla_cpu_experimental_onednn_custom_call": "True",
        "xla_cpu_experimental_onednn_fusion_type": "LIBRARY_FUSION_TYPE_DOT",
    }
