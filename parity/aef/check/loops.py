"""Section `loops`: JAX against JAX, however it runs its blocks and whatever it computes twice."""

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
    """In float64, the loss, its terms and all gradients of each way, from those of the unrolled loop without remat."""
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
    """Of what is zero in exact arithmetic, infinitely far where it is more than rounding."""
    return tensor.distance.relative_l2 or (0.0 if tensor.near else float("inf"))
