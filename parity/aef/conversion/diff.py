"""Two checkpoints, of either framework, compared tensor by tensor."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Shaped
from tqdm import tqdm

from parity.aef.conversion.checkpoints import open_checkpoint
from parity.aef.conversion.jax_checkpoint import JaxCheckpoint
from parity.mapping.spec import Spec, printable


@dataclass(frozen=True)
class Line:
    """What is said of one tensor, or of all."""

    text: str
    equal: bool

    def __str__(self) -> str:
        return self.text


def diff(a: Path, b: Path) -> Iterator[Line]:
    """A line for each tensor of parameters, and of moments where both checkpoints have them; the last counts them.

    Equal are tensors with the same bits. Raises ValueError where one is no checkpoint or is damaged.
    """
    first, second = open_checkpoint(a), open_checkpoint(b)
    moments = bool(first.moments and second.moments)
    ours, theirs = (one.params | (one.moments if moments else {}) for one in (first, second))
    # a run is read array by array, fast in its own order alone; weights files in any
    order = ours if isinstance(first, JaxCheckpoint) else theirs
    different = 0
    for name in tqdm(order | ours | theirs, "comparing", unit="tensor", leave=False, disable=None):
        told = _misfit(printable(name), ours.get(name), theirs.get(name))
        if told is None:
            told = _compared(printable(name), first.tensor(name), second.tensor(name))
        different += not told.equal
        yield told
    total = len(ours | theirs)
    of = "parameters and moments" if moments else "parameters"
    yield Line(f"{total - different} of {total} tensors are equal ({of})", different == 0)


def _misfit(name: str, ours: Spec | None, theirs: Spec | None) -> Line | None:
    if ours is None or theirs is None:
        return Line(f"{'missing in A' if ours is None else 'missing in B'}: {name}, {ours or theirs}", False)
    if ours.shape != theirs.shape:
        return Line(f"shape: {name}, {ours} and {theirs}", False)
    return None


def _compared(name: str, ours: Shaped[np.ndarray, "*N"], theirs: Shaped[np.ndarray, "*N"]) -> Line:
    if ours.dtype == theirs.dtype and ours.tobytes() == theirs.tobytes():
        return Line(f"equal: {name}", True)
    types = "" if ours.dtype == theirs.dtype else f", {ours.dtype} and {theirs.dtype}"
    wide = [array.astype(np.float64) for array in (ours, theirs)]
    difference = wide[0] - wide[1]
    norm = np.linalg.norm(wide[0])
    relative = np.linalg.norm(difference) / norm if norm else np.inf
    kind = "dtype" if types else "different"
    return Line(
        f"{kind}: {name}{types}, relative L2 {relative:.2e}, largest |difference| {np.abs(difference).max():.2e}", False
    )
