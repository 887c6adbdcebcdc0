"""Describe in words where two models differ."""

from parity.comparison.bisection import Culprit
from parity.report.report import display_name


def describe_culprit(culprit: Culprit) -> str:
    """Describe a culprit: which sub-module, in which direction, by how much, and where its code is in both frameworks.

    Args:
        culprit: The culprit.

    Returns:
        A paragraph.
    """
    measurement, worst = culprit.worst, culprit.worst.tensor
    others = f", and {len(culprit.failed) - 1} more of its tensors" if len(culprit.failed) > 1 else ""
    what = "its outputs differ" if culprit.forward else "its outputs are the same, but its gradients differ"
    return "\n".join(
        [
            f"{display_name(culprit.call.name)}: given the same inputs, {what}, although all that it calls agrees",
            f"  {measurement.kind} {worst.name}".rstrip() + f", {worst.dtype}, shape {worst.shape}{others}:",
            f"  relative L2 {worst.distance.relative_l2:.2e}, largest |difference| {worst.distance.max_abs:.2e},"
            f" {worst.distance.max_ulp:.3g} ULP, cosine {worst.distance.cosine:.9f}",
            f"  error against float64: JAX {worst.jax.relative_l2:.2e}, PyTorch {worst.torch.relative_l2:.2e}",
            f"  PyTorch: {culprit.torch_code}",
            f"  JAX:     {culprit.jax_code}",
        ]
    )
