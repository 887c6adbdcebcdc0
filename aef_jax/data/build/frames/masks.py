"""Find the pixels with a clear sky, from the quality bands of Sentinel-2 and Landsat products."""

import re
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Num
from scipy.ndimage import binary_dilation

from configs.serialization.config_json import nearest
from configs.serialization.printable import printable_value

SCL_CLEAR = (4, 5, 6, 7, 11)
"""Classes of the scene classification that are clear ground: vegetation, bare soil, water, unclassified and snow. Water
and snow are ground like any other. Unclassified (7) is mostly ground that no rule fits, such as buildings. Dark areas
(2) are not clear: before processing baseline 04.00 the class holds many shadows of clouds."""
SCL_CLOUD = (3, 8, 9, 10)
"""Those that are cloud, cirrus or the shadow of a cloud. The others (0, 1, 2) are neither clear nor grow."""

_EVERY_CONFIDENCE = 3


class _Flags(NamedTuple):
    """Where a bit-packed quality band says that a pixel is not clear. Bit 0 is fill in all of them."""

    bits: tuple[int, ...]
    """Bits that are set for cloud or shadow."""
    confidences: tuple[int, ...] = ()
    """First bits of two-bit confidences of cloud or shadow; 3 is a high one."""


_FLAGS = {
    "qa_pixel": _Flags(bits=(1, 2, 3, 4)),  # Collection 2: dilated cloud, cirrus, cloud, cloud shadow
    "pixel_qa": _Flags(bits=(3, 5)),  # Collection 1, level 2: cloud shadow, cloud
    "bqa": _Flags(bits=(4,), confidences=(7, 11)),  # Collection 1, level 1: cloud; cloud shadow, cirrus
}

# A probability from s2cloudless, or of Sen2Cor, at or above 40 % is cloud: the default threshold of the library
# sentinel2-cloud-detector. Sentinel Hub stores it as 0 to 255 in its band CLP.
_CLOUD_FROM: dict[str, tuple[float, float]] = {"probability": (40, 100), "probability_255": (0.4 * 255, 255)}
"""The lowest number that is cloud, and the highest number there is."""

CLEAR_SCORE = 0.6
"""Cloud Score+ at or above which a pixel is clear: that of the example in Google's catalog."""

MASK_KINDS = ("scl", *_FLAGS, *_CLOUD_FROM, "cloud_score")
"""What a mask's numbers may mean."""

_NAMES = {"probability": "probability", "cs": "cloud_score"}
"""Kinds of bands by their whole names, which are too short to tell with a prefix: `snow_probability` is no cloud."""

_SUFFIXES = {
    "scl": "scl",
    "qa_pixel": "qa_pixel",
    "pixel_qa": "pixel_qa",
    "bqa": "bqa",
    "cld": "probability",
    "msk_cldprb": "probability",
    "cloud_probability": "probability",
    "clp": "probability_255",
    "cs_cdf": "cloud_score",
    "cloud_score": "cloud_score",
}
"""Kinds of bands by what their names end with."""


def kind_of_mask(name: str) -> str | None:
    """Tell what the numbers of a quality band mean by its name.

    Args:
        name: of a band or a file, such as SCL, `S2-L2A-SCL`, QA-PIXEL or `MSK_CLDPRB_20m`.

    Returns:
        One of `MASK_KINDS`; None if the name is of no known band.
    """
    words = re.sub(r"[\W_]+", "_", name.strip().lower())
    # a product's prefix, and the resolution that Sentinel-2's files end with
    match = re.fullmatch(rf"(?:.*_)?({'|'.join(_SUFFIXES)})(?:_\d+m)?", words)
    return _SUFFIXES[match[1]] if match else _NAMES.get(words)


def clear_sky(kind: str, values: Num[np.ndarray, "H W"], dilation: int = 0) -> Bool[np.ndarray, "H W"]:
    """Find the pixels with a clear sky.

    Args:
        kind: what the values mean, one of `MASK_KINDS`.
        values: those of a quality band, not interpolated; NaN for no data. An unsigned number may be stored as signed.
        dilation: pixels by which what is cloud or shadow grows to all eight sides. No data does not grow.

    Returns:
        True where the sky is clear; False for cloud, shadow and no data.

    Raises:
        ValueError: the kind is unknown, the dilation is negative, or a probability goes from 0 to 1.
    """
    if kind not in MASK_KINDS:
        raise ValueError(f"a mask is of the unknown kind {printable_value(kind)}, {nearest(kind, list(MASK_KINDS))}")
    if dilation < 0:
        raise ValueError(f"a mask has a dilation of {dilation}, expected pixels, 0 or more")
    if kind == "scl":
        clear, cloud = np.isin(values, SCL_CLEAR), np.isin(values, SCL_CLOUD)
    elif kind in _FLAGS:
        clear, cloud = _by_flags(_FLAGS[kind], values)
    elif kind in _CLOUD_FROM:
        clear, cloud = _by_probability(*_CLOUD_FROM[kind], values)
    else:
        clear = (values >= CLEAR_SCORE) & (values <= 1)
        cloud = (values >= 0) & (values < CLEAR_SCORE)
    if dilation:  # 0 iterations would repeat until nothing changes
        clear &= np.logical_not(binary_dilation(cloud, np.ones((3, 3), bool), iterations=dilation))
    return clear


def _by_flags(flags: _Flags, values: Num[np.ndarray, "H W"]) -> tuple[np.ndarray, np.ndarray]:
    # 0 is what is outside of a scene: a pixel with data has a bit set, if only that of clear ground
    has_data = (np.abs(values) < 1 << 16) & (values != 0) & (np.rint(values) == values)
    bits = np.where(has_data, values, 1).astype(np.int64)  # two's complement: -1 has all 16 bits of 65535
    cloud = np.zeros(values.shape, bool)
    for bit in flags.bits:
        cloud |= bits >> bit & 1 == 1
    for bit in flags.confidences:
        cloud |= bits >> bit & _EVERY_CONFIDENCE == _EVERY_CONFIDENCE
    has_data &= bits & 1 == 0
    return has_data & ~cloud, has_data & cloud


def _by_probability(cloud_from: float, highest: float, values: Num[np.ndarray, "H W"]) -> tuple[np.ndarray, np.ndarray]:
    has_data = (values >= 0) & (values <= highest)
    seen = values[has_data]
    # as percent, all of 0 to 1 would be clear; whole numbers 0 and 1 are percent of a clear scene
    if seen.size and seen.max() <= 1 and (seen % 1 != 0).any():
        raise ValueError(f"cloud probabilities go from {seen.min():.3g} to {seen.max():.3g}, expected 0 to {highest:g}")
    return has_data & (values < cloud_from), has_data & (values >= cloud_from)
