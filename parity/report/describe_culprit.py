"""Where two models part, in words."""

from parity.comparison.bisection import Culprit
from parity.report.report import named


def told(culprit: Culprit) -> str:
    """A paragraph: which sub-module, in which direction, by how much, and where both keep its code."""
    one, worst = culprit.worst, culprit.worst.verdict
    others = f", and {len(culprit.failed) - 1} more of its tensors" if len(culprit.failed) > 1 else ""
    what = (
        "its outputs differ"
        if culprit.forward
        else "its outputs are the same, and the gradients that come out of it differ"
    )
    return "\n".join(
        [
            f"{named(culprit.call.name)}: given the same inputs, {what}, though all that it calls agrees",
            f"  {one.kind} {worst.name}".rstrip() + f", {worst.dtype}, shape {worst.shape}{others}:",
            f"  relative L2 {worst.apart.relative_l2:.2e}, largest |difference| {worst.apart.max_abs:.2e},"
            f" {worst.apart.max_ulp:.3g} ULP, cosine {worst.apart.cosine:.9f}",
            f"  error against float64: JAX {worst.jax.relative_l2:.2e}, PyTorch {worst.torch.relative_l2:.2e}",
            f"  PyTorch: {culprit.torch_code}",
            f"  JAX:     {culprit.jax_code}",
        ]
    )
