"""Compare two checkpoints, of either framework, tensor by tensor."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Shaped
from tqdm import tqdm

from configs.serialization.printable import printable
from parity.aef.conversion.checkpoints import open_checkpoint
from parity.aef.conversion.jax_checkpoint import JaxCheckpoint
from parity.mapping.spec import Spec


@dataclass(frozen=True)
class Line:
    """The result of one tensor, or of all."""

    text: str
    equal: bool

    def __str__(self) -> str:
        return self.text


def diff(a: Path, b: Path) -> Iterator[Line]:
    """Compare the parameters of two checkpoints, and the moments if both have them.

    Tensors are equal if they have the same bits.

    Args:
        a: a run, a checkpoint or weights.
        b: another.

    Yields:
        A line for each tensor, and last one with their number.

    Raises:
        ValueError: one is no checkpoint, or is damaged.
    """
    first, second = open_checkpoint(a), open_checkpoint(b)
    moments = bool(first.moments and second.moments)
    specs = [checkpoint.params | (checkpoint.moments if moments else {}) for checkpoint in (first, second)]
    # a run is read fast in its own order alone, weights files in any
    order = specs[0] if isinstance(first, JaxCheckpoint) else specs[1]
    different = 0
    for name in tqdm(order | specs[0] | specs[1], "comparing", unit="tensor", leave=False, disable=None):
        line = _misfit(printable(name), specs[0].get(name), specs[1].get(name))
        if line is None:
            line = _compared(printable(name), first.tensor(name), second.tensor(name))
        different += not line.equal
        yield line
    total = len(specs[0] | specs[1])
    of = "parameters and moments" if moments else "parameters"
    yield Line(f"{total - different} of {total} tensors are equal ({of})", different == 0)


def _misfit(name: str, a: Spec | None, b: Spec | None) -> Line | None:
    if a is None or b is None:
        return Line(f"{'missing in A' if a is None else 'missing in B'}: {name}, {a or b}", False)
    if a.shape != b.shape:
        return Line(f"shape: {name}, {a} and {b}", False)
    return None


def _compared(name: str, a: Shaped[np.ndarray, "*N"], b: Shaped[np.ndarray, "*N"]) -> Line:
    if a.dtype == b.dtype and a.tobytes() == b.tobytes():
        return Line(f"equal: {name}", True)
    types = "" if a.dtype == b.dtype else f", {a.dtype} and {b.dtype}"
    wide = [array.astype(np.float64) for array in (a, b)]
    difference = wide[0] - wide[1]
    norm = np.linalg.norm(wide[0])
    relative = np.linalg.norm(difference) / norm if norm else np.inf
    kind = "dtype" if types else "different"
    return Line(
        f"{kind}: {name}{types}, relative L2 {relative:.2e}, largest |difference| {np.abs(difference).max():.2e}", False
    )
