"""Read the tensors of a checkpoint on their way to the other framework."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Shaped
from tqdm import tqdm

from parity.aef.conversion.checkpoints import Checkpoint
from parity.files.cast import Cast
from parity.files.digest import sha256
from parity.files.finite import require_finite
from parity.mapping.spec import Spec


class TensorReader:
    """Read tensors of a checkpoint, require finite numbers, cast parameters if asked to, and show progress.

    Use as a context. `digests` collects the checksum of each tensor that was read, after the cast.

    Args:
        source: the checkpoint.
        names: the tensors that will be read, for the progress bar.
        dtype: cast parameters to it; None leaves them as they are.
        allow_nonfinite: accept NaN and infinities.
    """

    def __init__(self, source: Checkpoint, names: Mapping[str, Spec], dtype: str | None, allow_nonfinite: bool):
        self.source, self.allow_nonfinite = source, allow_nonfinite
        self.cast = None if dtype is None else Cast(dtype)
        self.digests: dict[str, str] = {}
        total = sum(spec.nbytes for spec in names.values())
        self.bar = tqdm(
            total=total, desc="converting", unit="B", unit_scale=True, unit_divisor=1024, leave=False, disable=None
        )

    def tensor(self, name: str) -> Shaped[np.ndarray, "..."]:
        """Read one tensor.

        Args:
            name: its name in PyTorch.

        Returns:
            The tensor in PyTorch's layout.

        Raises:
            ValueError: it is damaged, has a number that is not finite, or does not fit the dtype.
        """
        array, digest = self.source.tensor(name), self.source.digest(name)
        if not self.allow_nonfinite:
            require_finite(self.source.path, name, array)
        if self.cast is not None and name in self.source.params:
            array, digest = self.cast(name, array), None
        self.digests[name] = digest or sha256(array)
        self.bar.update(array.nbytes)
        return array

    def __enter__(self) -> "TensorReader":
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()
