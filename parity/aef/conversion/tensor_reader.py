"""Tensors of a checkpoint on their way from one framework to the other."""

from collections.abc import Mapping
from threading import Lock

import numpy as np
from jaxtyping import Shaped
from tqdm import tqdm

from parity.aef.conversion.checkpoints import Checkpoint
from parity.files.cast import Cast
from parity.files.digest import sha256
from parity.files.finite import check_finite
from parity.mapping.spec import Spec


class TensorReader:
    """Reads tensors of a checkpoint, checks that they are finite, casts parameters where asked, and shows progress.

    For any number of threads. Use as a context. `digests` has the checksum of each tensor that was read, as it was
    handed out.
    """

    def __init__(self, source: Checkpoint, names: Mapping[str, Spec], dtype: str | None, allow_nonfinite: bool):
        self.source, self.allow_nonfinite = source, allow_nonfinite
        self.cast = None if dtype is None else Cast(dtype)
        self.digests: dict[str, str] = {}
        self.lock = Lock()
        total = sum(spec.nbytes for spec in names.values())
        self.bar = tqdm(
            total=total, desc="converting", unit="B", unit_scale=True, unit_divisor=1024, leave=False, disable=None
        )

    def tensor(self, name: str) -> Shaped[np.ndarray, "..."]:
        """Raises ValueError where it is damaged, or not finite while it has to be, or does not fit the dtype."""
        array, digest = self.source.tensor(name), self.source.digest(name)
        if not self.allow_nonfinite:
            check_finite(self.source.path, name, array)
        if self.cast is not None and name in self.source.params:
            array, digest = self.cast(name, array), None
        digest = digest or sha256(array)
        with self.lock:
            self.digests[name] = digest
            self.bar.update(array.nbytes)
        return array

    def __enter__(self) -> "TensorReader":
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()
