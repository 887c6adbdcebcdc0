"""Convert what users have to what a series holds: masked arrays, datetime64, frames in any order."""

from typing import Any

import numpy as np


def series_arrays(
    pixels: np.ndarray, valid: np.ndarray, time_ms: np.ndarray, metadata: np.ndarray, no_data: float | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Convert the arrays of a series, and sort its frames by time. Shapes are not checked.

    Args:
        pixels: values; a masked one becomes NaN or `no_data`, and is not valid.
        valid: pixels that count in the loss; a masked one becomes False.
        time_ms: epoch milliseconds, or datetime64 of any unit.
        metadata: one row per frame.
        no_data: pixel value that means no data.

    Returns:
        Pixels, mask, times in epoch milliseconds and metadata; the arrays themselves if there is nothing to change.

    Raises:
        ValueError: integers are masked, and `no_data` is not one of their type.
    """
    pixels, valid = _fill_masked(pixels, valid, no_data)
    if np.issubdtype(time_ms.dtype, np.datetime64):
        time_ms = time_ms.astype("datetime64[ms]").astype(np.int64)
    arrays = pixels, valid, time_ms, metadata
    is_unsorted = time_ms.ndim == 1 and (time_ms[1:] < time_ms[:-1]).any()
    if is_unsorted and all(array.shape[:1] == time_ms.shape for array in arrays):
        order = np.argsort(time_ms, kind="stable")
        return pixels[order], valid[order], time_ms[order], metadata[order]
    return arrays


def plain_labels(classes: np.ndarray) -> np.ndarray:
    """Store the masked pixels of a label map as no label.

    Args:
        classes: a map of any integers, masked or not.

    Returns:
        The map itself if it is no masked array. Otherwise the smallest signed type that holds its classes and -1, which
        masked pixels become: int16 for uint8, int32 for uint16.
    """
    if not np.ma.isMaskedArray(classes):
        return classes
    return np.ma.filled(classes.astype(np.promote_types(classes.dtype, np.int8)), -1)


def plain_transform(transform: Any) -> tuple[float, ...]:
    """Return the numbers of a transform.

    Args:
        transform: six numbers, or an affine.Affine, which has three more.

    Returns:
        The first six; all of them if the others are not those of an affine map.
    """
    numbers = tuple(float(number) for number in transform)
    return numbers[:6] if numbers[6:] == (0, 0, 1) else numbers


def _fill_masked(pixels: np.ndarray, valid: np.ndarray, no_data: float | None) -> tuple[np.ndarray, np.ndarray]:
    valid = np.ma.filled(valid, False)
    if not np.ma.isMaskedArray(pixels):
        return pixels, valid
    mask, plain = np.ma.getmaskarray(pixels), np.ma.getdata(pixels)
    if not mask.any():
        return plain, valid
    fill: float | None = np.nan
    if not np.issubdtype(plain.dtype, np.floating):
        limits, fill = np.iinfo(plain.dtype), no_data
        if fill is None or not limits.min <= fill <= limits.max:
            raise ValueError(
                f"pixels are masked {plain.dtype} and no_data is {no_data}, expected a number of this type that masked"
                " pixels are stored as"
            )
    is_masked = mask if valid.shape == mask.shape else mask.all(axis=-1, keepdims=True)
    return np.where(mask, np.asarray(fill, plain.dtype), plain), valid & ~is_masked
