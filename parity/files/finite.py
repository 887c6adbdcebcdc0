"""Refuse tensors with NaN or infinities, which training should never leave behind."""

import numpy as np
from jaxtyping import Shaped

from configs.serialization.printable import printable


def require_finite(where: object, name: str, array: Shaped[np.ndarray, "..."]) -> None:
    """Require that all numbers of a tensor are finite.

    Args:
        where: the file, for messages.
        name: the tensor's name.
        array: the tensor; integers and booleans always pass.

    Raises:
        ValueError: it holds NaN or an infinity; the message has their number and the first one's position.
    """
    if np.issubdtype(array.dtype, np.integer) or array.dtype == np.bool_:
        return
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(array.sum()):  # one pass without a temporary array; a sum that overflows proves nothing
            return
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        first = [int(index) for index in bad[0]]
        values = "value that is" if len(bad) == 1 else "values that are"
        raise ValueError(
            f"{where}: tensor {printable(name)} holds {len(bad)} {values} not finite, the first"
            f" ({array[tuple(bad[0])]}) at {first}: give --allow-nonfinite to convert them all the same"
        )
