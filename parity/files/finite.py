"""Whether a tensor is what training should ever leave behind."""

import numpy as np
from jaxtyping import Shaped


def require_finite(where: object, name: str, array: Shaped[np.ndarray, "..."]) -> None:
    """Raises ValueError where a tensor holds NaN or an infinity, with how many and where the first is."""
    if np.issubdtype(array.dtype, np.integer) or array.dtype == np.bool_:
        return
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(array.sum()):  # a pass without a temporary array; a sum that overflows is looked at again
            return
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        first = [int(index) for index in bad[0]]
        values = "value that is" if len(bad) == 1 else "values that are"
        raise ValueError(
            f"{where}: tensor {name} holds {len(bad)} {values} not finite, the first ({array[tuple(bad[0])]}) at"
            f" {first}: give --allow-nonfinite to convert them all the same"
        )
