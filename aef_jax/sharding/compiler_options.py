"""Options of XLA for the functions that are compiled for a mesh, by platform."""

import jax
from jax.sharding import Mesh


def compiler_options(mesh: Mesh, gradients: bool = False) -> dict[str, str]:
    """Of `jax.jit`, for what is computed on this mesh, with gradients or without.

    In the order that XLA chooses for CPUs its few threads may all wait, each in a collective that other devices have
    not come to, and it ends the process: with JAX 0.12, four devices on two cores, in four runs of five within a
    hundred steps. In this order, which is for the least memory, all came through, and a step of `tiny` took no longer.
    And where cores are busy elsewhere, a device may come later to a collective than the 40 s after which XLA would end
    the process.

    On TPUs it would compute nothing while frames are sent for rows; so asked, it computes the other operators.
    """
    match mesh.devices.flat[0].platform:
        case "cpu":
            return {
                "xla_cpu_scheduler_type": "CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED",
                "xla_cpu_collective_call_terminate_timeout_seconds": "600",
                **(_cpu_libraries(gradients) if mesh.size == 1 else {}),
            }
        case "tpu":
            return {"xla_tpu_enable_async_all_to_all": "true"}
        case "gpu":
            return _gpu_kernels(gradients)
        case _:
            return {}


def _gpu_kernels(gradients: bool) -> dict[str, str]:
    """Which kernels XLA looks for: what it finds must be worth the search.

    With all, tilings of a Triton kernel for each norm and softmax, and dozens of kernels for each product, `small`'s
    step was not compiled for an H200 after four minutes; with neither it was after two. Without gradients Triton's
    products pay: 6 % of an embedding's time, for 38 s in place of 29; its norms do not: 1.5 %, for twice the search.
    """
    without_norms = {"xla_disable_hlo_passes": "triton-softmax-rewriter"}
    return without_norms | {"xla_gpu_enable_triton_gemm": "False"} if gradients else without_norms


def _cpu_libraries(gradients: bool) -> dict[str, str]:
    """Which library computes what, where a CPU is one device.

    Convolutions: oneDNN, which XLA has from JAX 0.11 on, or Eigen, and never YNNPACK, whose 3x3 ones take up to 1.7
    times as long. Products: oneDNN by its graphs (by custom calls it gets a sum with a transposed product wrong), or
    YNNPACK, each product by itself. Sums over rows, of which gradients have many: YNNPACK, as XLA's own would make a
    step 1.7 times as long; but a norm's would take the convolution that follows into YNNPACK with it.
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
