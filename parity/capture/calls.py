"""What is known of one call of a sub-module, and what comes of computing it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from parity.capture.trees import Arrays

WHOLE = ""
"""The label of all that is compared; a sub-module's is its dotted path in PyTorch, a function's its name in the map."""


@dataclass(frozen=True)
class Call:
    """One call of a sub-module or function as PyTorch made it. Axes lie as in JAX."""

    label: str
    count: int
    """Calls of the same label before this one."""
    parents: tuple[int, ...]
    """The calls within which it was made, outermost first, by their places in the order in which calls begin."""
    begun: int
    """Its own place in that order."""
    arguments: tuple
    keywords: Mapping[str, Any]
    outputs: Arrays
    cotangents: Arrays
    """The gradients of the whole with respect to the outputs, by their names."""

    @property
    def name(self) -> str:
        return f"{self.label} (call {self.count + 1})" if self.count else self.label


def describe_failure(call: Call, error: Exception) -> str:
    """Why a sub-module could not be computed alone, in one sentence."""
    reason = str(error).strip().partition("\n")[0]
    return f"{call.name} cannot be compared by itself: {type(error).__name__}: {reason}"


@dataclass(frozen=True)
class Computed:
    """Outputs and gradients, by name; parameters have PyTorch's names and layout, all else lies as in JAX."""

    outputs: Arrays
    parameter_gradients: Arrays
    input_gradients: Arrays

    @property
    def kinds(self) -> dict[str, Arrays]:
        return {
            "output": self.outputs,
            "gradient of parameter": self.parameter_gradients,
            "gradient of input": self.input_gradients,
        }


@dataclass(frozen=True)
class CapturedCall:
    """What one framework made of a sub-module within the whole: its outputs, and the whole's gradients there."""

    label: str
    count: int
    outputs: Arrays
    cotangents: Arrays
