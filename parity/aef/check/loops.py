"""Section `loops`: JAX compared with itself, for each way to run its blocks and to recompute activations."""

from dataclasses import replace

from parity.aef.check.check_input import CheckInput
from parity.aef.check.settings import Settings
from parity.aef.pair import aef_jax_side
from parity.comparison.metrics import TensorComparison
from parity.comparison.pair import measure_tensors
from parity.comparison.precision import matmul_precision
from parity.report.report import Check, Section

WAYS = (("scan", "none"), ("scan", "block"), ("unroll", "dots"))
BOUND = 1e-13


def loops(check_input: CheckInput, settings: Settings) -> Section:
    """Compare, in float64, the loss, its terms and all gradients with those of the unrolled loop without remat.

    Args:
        check_input: What is compared.
        settings: How.

    Returns:
        The section.
    """
    section = Section("loops", "Scan and remat, JAX from JAX in float64")
    call, reason = check_input.call(0), "the same operations, fused in another way"
    with matmul_precision():
        plain = check_input.pair.jax.compute(call, "float64")
        for block_loop, remat in settings.progress(WAYS, "scan and remat"):
            config = replace(
                check_input.config, model=replace(check_input.config.model, block_loop=block_loop, remat=remat)
            )
            computed = aef_jax_side(config, check_input.jax).compute(call, "float64")
            far = max(
                _far(measurement.tensor) for measurement in measure_tensors(call, "float64", computed, plain, plain)
            )
            section.checks.append(Check(f"{block_loop}, remat {remat}: the worst tensor", far, BOUND, reason))
    return section


def _far(tensor: TensorComparison) -> float:
    """Return the distance; infinite for a tensor that is zero in exact arithmetic and more than rounding here."""
    return tensor.distance.relative_l2 or (0.0 if tensor.near else float("inf"))
