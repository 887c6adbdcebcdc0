"""Convert a file's unit to the unit that a band declares, and tell values that cannot be in it."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64

from aef_jax.data.build.readers.baseline import BASELINE_UNIT, OFFSET, WITH_OFFSET, WITHOUT_OFFSET
from aef_jax.data.build.readers.mtl import MTL_UNIT
from configs.fields.statistics import MAX_WRONG
from configs.serialization.config_json import nearest
from configs.serialization.printable import printable
from configs.source import Band

# Collection 2's scales are those of USGS, openEO's that of Sentinel Hub's 16-bit backscatter. Sentinel-2's digital
# numbers below 1000 become negative reflectance, as measured: the noise of dark water is on both sides of 0.
_LINEAR = {
    "reflectance * 10000": {
        "reflectance": (10_000, 0),
        WITH_OFFSET: (1, -OFFSET),
        WITHOUT_OFFSET: (1, 0),
    },
    "reflectance": {"reflectance * 10000": (1e-4, 0), "landsat c2 sr": (0.0000275, -0.2)},
    "kelvin": {"kelvin * 10": (0.1, 0), "celsius": (1, 273.15), "landsat c2 st": (0.00341802, 149)},
    "degrees": {"radians": (180 / np.pi, 0)},
    "radians": {"degrees": (np.pi / 180, 0)},
    "metres": {"centimetres": (1e-2, 0), "millimetres": (1e-3, 0)},
    "centimetres": {"metres": (100, 0), "millimetres": (0.1, 0)},
    "pascal": {"hectopascal": (100, 0)},
}
"""(factor, offset) that give a band's unit from a file's unit: factor * value + offset."""

_ZERO_IS_NO_DATA = (WITH_OFFSET, WITHOUT_OFFSET, "landsat c2 sr", "landsat c2 st")
"""Digital numbers of which 0 means no data, whether the file says so or not."""
_STORED_ZERO_IS_NO_DATA = "reflectance * 10000"
"""Records hold it as integers of which 0 is no data, as most files do, whether they say so or not."""

_LOGARITHMIC = {"decibel": {"power": (10, 0), "amplitude": (20, 0), "openeo dn": (20, -83)}}
"""(factor, offset) of factor * log10(value) + offset."""
_BACKSCATTER = {"digital number": ("decibel", "power")}
"""Units of gamma0 that PALSAR-2's digital numbers are computed back from: 20 log10(number) - 83 is decibel (JAXA)."""

_DECIBEL = Band("backscatter", "decibel")

_RANGE_SLACK = {"reflectance * 10000": 500, "decibel": 20}
"""How far below its valid range a measured value may be: over dark water, atmospheric correction leaves reflectance
down to -0.05, and radar sees its own noise. It is not valid, but it is in the unit."""

_MAX_SATURATED = 0.05
"""Share of values out of range that may be one and the same number; above it that is fill that no tag declares, not
saturation of the brightest clouds (ours)."""
_MIN_VALUES = 16
"""Values from which something can be told of their distribution."""
_MOST = 0.99
"""Share of values that a guess of their unit must hold for: a few may be saturated, or fill."""
_UPRIGHT = np.pi / 2


def accepted_units(band: Band) -> tuple[str, ...]:
    """List the units that a file may have a band in.

    Args:
        band: the unit to convert to is its own.

    Returns:
        The units, first the band's own. `meters` may be written for `metres`.
    """
    tables = (_LINEAR, _LOGARITHMIC, _BACKSCATTER)
    return band.unit, *_indirect_units(band), *(unit for table in tables for unit in table.get(band.unit, ()))


def validate_unit(unit: str, band: Band, where: str) -> str:
    """Check that a band can be converted from a unit.

    Args:
        unit: the file's unit. Case does not count.
        band: gives the unit to convert to.
        where: names the file and its band, for messages.

    Returns:
        The unit as `accepted_units` spells it.

    Raises:
        ValueError: the band cannot be converted from it.
    """
    file_unit, units = " ".join(unit.lower().split()).replace("meters", "metres"), accepted_units(band)
    if file_unit not in units:
        hint = nearest(file_unit, list(units))
        raise ValueError(
            f"{where}: the unit {printable(repr(unit), 50)} does not convert to the {band.unit!r} of band {band.name},"
            f" expected one of {', '.join(map(repr, units))}{f': {hint}' if hint.endswith('?') else ''}"
        )
    return file_unit


def zero_is_no_data(unit: str, band: Band) -> bool:
    """Tell whether 0 means no data in a file, whether the file says so or not.

    Args:
        unit: the file's unit, as `accepted_units` spells it.
        band: gives the unit to convert to.

    Returns:
        True for digital numbers, for what has no logarithm, and if 0 is no data in records too.
    """
    is_logarithmic = unit in _LOGARITHMIC["decibel"]
    is_indirect = unit in _indirect_units(band)
    return is_logarithmic or is_indirect or unit in (*_ZERO_IS_NO_DATA, _STORED_ZERO_IS_NO_DATA)


def convert(values: Float32[np.ndarray, "*N"], unit: str, band: Band, where: str) -> Float32[np.ndarray, "*N"]:
    """Convert values to the unit that a band declares.

    Args:
        values: in the file's unit, NaN for no data.
        unit: the file's unit, one of `accepted_units`, but for those that say by what they are converted:
            `BASELINE_UNIT` and `MTL_UNIT`. Case does not count.
        band: the unit to convert to is its own.
        where: names the file and its band, for messages.

    Returns:
        The values in the band's unit, computed in float64; the array itself if it is in that unit. NaN stays, and a
        number that has no logarithm becomes NaN.

    Raises:
        ValueError: the band cannot be converted from the unit.
    """
    file_unit = validate_unit(unit, band, where)
    if file_unit == band.unit:
        return values
    if file_unit in _BACKSCATTER.get(band.unit, ()):
        decibel = values if file_unit == "decibel" else convert(values, file_unit, _DECIBEL, where)
        return (10 ** ((decibel.astype(np.float64) + 83) / 20)).astype(np.float32)
    if scale := _LINEAR.get(band.unit, {}).get(file_unit):
        numbers = values.astype(np.float64)
        if file_unit in _ZERO_IS_NO_DATA:
            numbers[values == 0] = np.nan
    else:
        scale = _LOGARITHMIC[band.unit][file_unit]
        numbers = np.log10(np.where(values > 0, values, np.nan).astype(np.float64))
    factor, offset = scale
    return (factor * numbers + offset).astype(np.float32)


def _indirect_units(band: Band) -> tuple[str, ...]:
    """Return the units of a band that a product's own documents convert."""
    return {"reflectance * 10000": (BASELINE_UNIT,), "reflectance": (MTL_UNIT,), "kelvin": (MTL_UNIT,)}.get(
        band.unit, ()
    )


def is_out_of_range(values: Float[np.ndarray, "*N"], band: Band) -> Bool[np.ndarray, "*N"]:
    """Tell which values no product shows of anything on Earth.

    Args:
        values: in the band's unit; NaN is in range.
        band: gives the unit and the valid range.

    Returns:
        True for values out of the range, or farther below it than measurements are.
    """
    low, high = band.valid_range or (-np.inf, np.inf)
    return (values < low - _RANGE_SLACK.get(band.unit, 0)) | (values > high)


def contradiction(values: Float32[np.ndarray, "N"], band: Band) -> str:
    """Tell whether values can be in the unit of their band.

    Args:
        values: the finite and cloud-free values of an acquisition or a site, in the band's unit as the user claims.
        band: gives the unit and the valid range.

    Returns:
        What the values are, and the unit that they look like; empty if they are plausible, or too few to tell.
    """
    if not values.size:
        return ""
    numbers = values.astype(np.float64)
    low, high = band.valid_range or (-np.inf, np.inf)
    is_beyond = is_out_of_range(numbers, band)
    outside = np.mean(is_beyond)
    is_outside = outside > MAX_WRONG
    is_enough = numbers.size >= _MIN_VALUES
    guess = _guess(numbers, band) if is_outside or is_enough else ""
    if not guess and is_enough:
        guess = _guess_fill(numbers, is_beyond)
    if not is_outside and not guess:
        return ""
    seen = (
        f"{numbers.size} values go from {numbers.min():.5g} to {numbers.max():.5g} with a median of"
        f" {np.median(numbers):.5g}"
    )
    if guess:
        return f"{seen}, which looks like {guess}"
    return f"{seen}, and {outside:.0%} of them are out of {low:g} to {high:g}, the range of band {band.name}"


def keeps_offset(darkest: Mapping[str, float]) -> bool:
    """Tell whether Sentinel-2's frames of a site may still have the offset of processing baseline 04.00.

    Args:
        darkest: by band, the 0.1-percentile of the values of all frames, in reflectance * 10000.

    Returns:
        True if no band has values below 1000, the offset that the baseline adds.
    """
    # This can be no more than a warning. Nearly every site has some dark pixel in some band, but not all: desert, salt,
    # snow and haze are brighter than 0.1 in all bands, and of a single date there may be no shadow. The other way
    # round, an offset left on a site with dark water may go below 1000 by its noise.
    return bool(darkest) and min(darkest.values()) >= OFFSET


def _guess(values: Float64[np.ndarray, "N"], band: Band) -> str:
    """Name the unit that values look like if they cannot be in the band's own; empty if they can."""
    high = band.valid_range[1] if band.valid_range else np.inf
    match band.unit:
        case "reflectance * 10000":
            return _guess_reflectance(values / 10_000, "reflectance from 0 to 1", "numbers scaled by 10000 twice")
        case "reflectance":
            integers = "reflectance * 10000 or unscaled digital numbers"
            return _guess_reflectance(values, "reflectance divided by 10000 twice", integers)
        case "kelvin":
            return _guess_kelvin(float(np.median(values)))
        case "decibel":
            return _guess_decibel(values)
        case "degrees":
            return "radians" if _are_most(values, 0, _UPRIGHT) and values.max() > 0 else ""
        case "radians":
            # of flat land, where degrees are few, nothing can be told
            return "degrees or percent" if np.mean(values > high) > 1 - _MOST else ""
        case "digital number":
            median = np.median(values)
            return "decibel" if median < 0 else "linear power or amplitude" if median < 1 else ""
        case "pascal":
            return "hectopascal" if _are_most(values, 300, 1100) else ""
        case "metres":
            return "centimetres or millimetres" if np.median(values) > high else ""
    return ""


def _guess_fill(values: Float64[np.ndarray, "N"], is_beyond: Bool[np.ndarray, "N"]) -> str:
    numbers, counts = np.unique(values[is_beyond], return_counts=True)
    if not counts.size or counts.max() <= _MAX_SATURATED * values.size:
        return ""
    share = counts.max() / values.size
    return f"fill: {share:.0%} of them are {numbers[counts.argmax()]:.5g}, which `no_data` does not name"


def _guess_reflectance(reflectance: Float64[np.ndarray, "N"], small: str, large: str) -> str:
    # Nothing is as dark as 0.0002 everywhere. Only numbers between 0 and 0.0001 tell: an integer product may hold its
    # lowest two numbers, 0 and 1, all over a lake.
    is_fraction = (reflectance > 0) & (reflectance < 1e-4)
    if is_fraction.any() and _are_most(reflectance, -1e-4, 2e-4):
        return small
    median = np.median(reflectance)
    if median > 2:
        return large
    # No correction of the atmosphere goes so far below 0, but a subtracted offset does: the 0.1 of Sentinel-2, or the
    # 0.2 of Landsat.
    return "fill, or numbers that an offset was taken off twice" if median < -0.05 else ""


def _guess_kelvin(median: float) -> str:
    if -100 < median < 100:
        return "degrees Celsius, or kelvin divided by 10"
    if 100 <= median < 180:  # colder than any ground or cloud: Collection 2 adds 149
        return "kelvin converted as 'landsat c2 st'"
    if 1800 < median < 4000:
        return "kelvin * 10"
    return "digital numbers" if median >= 4000 else ""


def _guess_decibel(values: Float64[np.ndarray, "N"]) -> str:
    # Backscatter is below 0 dB but for what reflects straight back, such as a wall: a site has some pixels above 0, the
    # core of a city many, none has all. Linear numbers are all positive.
    median = np.median(values)
    if median > 10:
        return "digital numbers"
    if median > 5 or np.mean(values >= 0) >= _MOST:
        return "linear power or amplitude"
    return ""


def _are_most(values: Float64[np.ndarray, "N"], low: float, high: float) -> bool:
    return bool(np.mean((values >= low) & (values <= high)) >= _MOST)
