"""Landsat's MTL files: the numbers that make reflectance and kelvin of a product's digital numbers."""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from configs.serialization.printable import printable
from configs.serialization.read_file import read_text

MTL_UNIT = "landsat mtl"
"""Digital numbers of Landsat, whose scale is in the MTL file beside them."""
_LINE = re.compile(r"\s*(\w+)\s*=\s*(.*?)\s*")
_LEVEL2 = {"SR": "LEVEL2_SURFACE_REFLECTANCE_PARAMETERS", "ST": "LEVEL2_SURFACE_TEMPERATURE_PARAMETERS"}
_LEVEL1 = ("LEVEL1_RADIOMETRIC_RESCALING", "RADIOMETRIC_RESCALING")
"""The group of Collection 2, and that of Collection 1."""
_THERMAL1 = ("LEVEL1_THERMAL_CONSTANTS", "TIRS_THERMAL_CONSTANTS")
_THERMAL_BANDS = (10, 11)
"""Of Landsat 8 and 9."""


def read_mtl_beside(path: str) -> Mapping[str, float]:
    """Read the MTL file in the folder of a band's file.

    Args:
        path: of the band.

    Returns:
        Its numbers by `GROUP.NAME`.

    Raises:
        ValueError: the folder has no `*_MTL.txt` of the product, or several.
    """
    product = re.match(r"L[A-Z]0\d_\w{4}_\d{6}_\d{8}(?:_\d{8}_\d{2}_\w\w)?", Path(path).name)
    files = sorted(Path(path).parent.glob(f"{product[0] if product else ''}*_MTL.txt"))
    if len(files) != 1:
        raise ValueError(
            f"{printable(path)}: {len(files)} files beside it end with _MTL.txt, expected one, for the unit"
            f" {MTL_UNIT!r}: say another unit, and `scale` if the files do not hold it"
        )
    numbers, groups = dict[str, float](), list[str]()
    for line in read_text(files[0]).splitlines():
        match = _LINE.fullmatch(line)
        name, value = match.groups() if match else ("", "")
        if name == "GROUP":
            groups.append(value)
        elif name == "END_GROUP" and groups:
            groups.pop()
        elif groups and re.fullmatch(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?", value):
            numbers[f"{groups[-1]}.{name}"] = float(value)
    return numbers


def convert_by_mtl(
    values: Float32[np.ndarray, "H W"], name: str, mtl: Mapping[str, float], where: str
) -> Float32[np.ndarray, "H W"]:
    """Convert digital numbers of Landsat 8 or 9.

    Args:
        values: digital numbers; 0 and NaN are no data.
        name: of the band in its product: SR_B2 and ST_B10 are of level 2, B2 and B10 of level 1.
        mtl: of the product.
        where: names file and band, for messages.

    Returns:
        Reflectance: of the surface, or at the top of the atmosphere and divided by the sine of the sun's elevation; or
        kelvin: of the surface, or brightness temperature. As the USGS defines them (Landsat 8-9 data users handbooks).

    Raises:
        ValueError: the band has no number, or the MTL file lacks what it needs.
    """
    match = re.search(r"(?:^|_)(S[RT])?_?B0?(\d{1,2})$", name.upper())
    if not match:
        raise ValueError(f"{where}: no band of Landsat such as B2, SR_B2 or ST_B10, which {MTL_UNIT!r} needs")
    level2, number = match[1], int(match[2])
    numbers = np.where(values == 0, np.nan, values).astype(np.float64)

    def look_up(names: tuple[str, ...]) -> float:
        for each in names:
            if each in mtl:
                return mtl[each]
        raise ValueError(f"{where}: the MTL file has no {names[0]}")

    def linear(groups: tuple[str, ...], quantity: str, band: str) -> np.ndarray:
        factor, offset = (
            look_up(tuple(f"{group}.{quantity}_{what}_BAND_{band}" for group in groups)) for what in ("MULT", "ADD")
        )
        return factor * numbers + offset

    if level2 == "ST":
        return linear((_LEVEL2["ST"],), "TEMPERATURE", f"ST_B{number}").astype(np.float32)
    if level2 == "SR":
        return linear((_LEVEL2["SR"],), "REFLECTANCE", str(number)).astype(np.float32)
    if number in _THERMAL_BANDS:
        radiance = linear(_LEVEL1, "RADIANCE", str(number))
        k1, k2 = (look_up(tuple(f"{group}.{k}_CONSTANT_BAND_{number}" for group in _THERMAL1)) for k in ("K1", "K2"))
        return (k2 / np.log(k1 / radiance + 1)).astype(np.float32)
    elevation = look_up(("IMAGE_ATTRIBUTES.SUN_ELEVATION",))
    if elevation <= 0:
        raise ValueError(f"{where}: the sun's elevation is {elevation} degrees, expected above 0 for reflectance")
    return (linear(_LEVEL1, "REFLECTANCE", str(number)) / np.sin(np.radians(elevation))).astype(np.float32)
