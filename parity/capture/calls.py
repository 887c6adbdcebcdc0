"""Describe one call of a sub-module, and the results of computing it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from parity.capture.trees import Arrays

WHOLE = ""
"""The label of the whole. A sub-module's label is its dotted path in PyTorch, a function's its name in the map."""


@dataclass(frozen=True)
class Call:
    """One call of a sub-module or function as PyTorch made it. Axes are in JAX's order."""

    label: str
    count: int
    """The number of earlier calls with the same label."""
    parents: tuple[int, ...]
    """The calls around it, outermost first, by their positions in the order in which calls begin."""
    begun: int
    """Its own position in that order."""
    arguments: tuple
    keywords: Mapping[str, Any]
    outputs: Arrays
    cotangents: Arrays
    """The gradients of the whole with respect to the outputs, by the outputs' names."""

    @property
    def name(self) -> str:
        """The label, with a number from the second call on."""
        return f"{self.label} (call {self.count + 1})" if self.count else self.label


def describe_failure(call: Call, error: Exception) -> str:
    """Say why a sub-module could not be computed by itself.

    Args:
        call: The call.
        error: What was raised.

    Returns:
        One sentence.
    """
    reason = str(error).strip().partition("\n")[0]
    return f"{call.name} cannot be compared by itself: {type(error).__name__}: {reason}"


@dataclass(frozen=True)
class Computed:
    """Outputs and gradients, by name. Parameters and state have PyTorch's names and layout, everything else JAX's."""

    outputs: Arrays
    parameter_gradients: Arrays
    input_gradients: Arrays
    updated_state: Arrays
    """What a call in training mode leaves in the model for the next: running statistics."""

    @property
    def kinds(self) -> dict[str, Arrays]:
        """The arrays by the kind of tensor that a measurement names."""
        return {
            "output": self.outputs,
            "updated state": self.updated_state,
            "gradient of parameter": self.parameter_gradients,
            "gradient of input": self.input_gradients,
        }


@dataclass(frozen=True)
class CapturedCall:
    """What a sub-module returned inside the whole in one framework, and the whole's gradients there."""

    label: str
    count: int
    outputs: Arrays
    cotangents: Arrays
