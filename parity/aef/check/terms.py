"""Section `terms`: the loss and each of its terms."""

import re

from parity.aef.check.check_input import CheckInput
from parity.aef.check.settings import Settings
from parity.comparison.precision import matmul_precision
from parity.report.report import Check, Section

BOUNDS = {
    "float64": (1e-13, "the same sums in another order"),
    "float32": (1e-6, "a mean over thousands of numbers, whose roundings cancel"),
}


def terms(check_input: CheckInput, settings: Settings) -> Section:
    """Measure |JAX - PyTorch| / |PyTorch| of each number that the objective returns.

    Args:
        check_input: What is compared.
        settings: How.

    Returns:
        The section.
    """
    section = Section("terms", "The loss and its terms, JAX from PyTorch")
    call = check_input.call(0)
    with matmul_precision():
        for dtype in settings.progress([d for d in settings.dtypes if d in BOUNDS], "the loss and its terms"):
            bound, reason = BOUNDS[dtype]
            for measurement in check_input.pair.measure(call, [dtype]):
                if measurement.kind == "output":
                    value = measurement.tensor.distance.relative_l2
                    section.checks.append(Check(f"{term(measurement.tensor.name)}, {dtype}", value, bound, reason))
    return section


def term(output: str) -> str:
    """Name the term of an output. The objective returns the loss first, and again among the terms.

    Args:
        output: The output's name.

    Returns:
        The term.
    """
    named = re.fullmatch(r"\[1\]\['(.*)'\]", output)
    return named[1] if named else "loss that has the gradient"
