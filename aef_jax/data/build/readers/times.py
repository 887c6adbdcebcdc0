"""Read the times of frames: from arrays of dates or numbers, and from the names of files."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import PurePosixPath

import numpy as np
from jaxtyping import Int64, Shaped

from aef_jax.data.store.observations import FIRST_YEAR_MS
from aef_jax.data.store.site import to_ms
from configs.encodings.timecode import DAY_MS
from configs.serialization.config_json import nearest
from configs.serialization.printable import printable, printable_value

UNITS_MS = {"s": 1000, "ms": 1, "days": DAY_MS}
"""Milliseconds of the units that numbers may be in, all since 1970."""
MAX_PATTERN = 200
"""Characters of a pattern for file names."""

_EARLIEST_MS, _LATEST_MS = to_ms("1900-01-01"), to_ms("9999-12-31T23:59:59.999")

_SENTINEL2 = re.compile(r"(?<![A-Za-z0-9])S2[A-Z]_MSIL(?:1C|2A)_(\d{8}T\d{6})_N(\d{4})_")
_PRODUCTS = (
    _SENTINEL2,  # the sensing time, before the time of processing
    re.compile(r"(?<![A-Za-z0-9])S1[A-Z]_\w{2}_\w{4}_\w{4}_(\d{8}T\d{6})_"),  # the start, before the end
    re.compile(r"(?<![A-Za-z0-9])L[A-Z]0\d_L[12][A-Z]{2}_\d{6}_(\d{8})_"),  # the acquisition, before the processing
)
"""Names of products with several dates. Group 1 is the acquisition's."""
_STAMP = re.compile(
    r"(?<!\d)(?:19|20)\d{2}(-?)(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12]\d|3[01])(?:T\d{2}:?\d{2}:?\d{2})?(?!\d)"
)

_DATE, _DAY_OF_YEAR, _TIME = {"year", "month", "day"}, {"year", "doy"}, ("hour", "minute", "second")
"""Names of groups in a pattern."""


def epoch_ms(values: Shaped[np.ndarray, "N"], where: str, unit: str = "") -> Int64[np.ndarray, "N"]:
    """Convert times to epoch milliseconds.

    Args:
        values: datetime64 of any unit; dates in ISO 8601, as strings or date objects, in UTC if they have no offset; or
            numbers since 1970.
        where: names the file, for messages.
        unit: unit of numbers: s, ms or days. Dates need none.

    Returns:
        Epoch milliseconds.

    Raises:
        ValueError: a time is missing or no date, is within a year of 1970 or out of the years 1900 to 9999, or numbers
            have no unit.
    """
    if values.dtype.kind == "O":
        values = np.array(values.tolist())  # numbers among objects are numbers: 20220305 is no date
    if values.dtype.kind == "M":
        # years first: far ones overflow in milliseconds, and would look like others
        years = values.astype("datetime64[Y]").astype(np.int64) + 1970
        _require_all(~np.isnat(values) & (years >= 1900) & (years <= 9999), values, where)
        times = values.astype("datetime64[ms]").astype(np.int64)
    elif values.dtype.kind in "SUO":
        times = np.array([_parse(_text(value), f"{where}: time") for value in values], np.int64)
    elif values.dtype.kind not in "iuf":
        raise ValueError(f"{where}: its times are of type {values.dtype}, expected dates or numbers")
    elif unit not in UNITS_MS:
        hint = nearest(unit, list(UNITS_MS)) if unit else "state their unit: s, ms or days since 1970"
        raise ValueError(f"{where}: its times are numbers of unit {printable(repr(unit), 50)}, {hint}")
    else:
        with np.errstate(over="ignore"):
            numbers = values.astype(np.float64) * UNITS_MS[unit]  # float64 has each millisecond up to the year 9999
        _require_all((numbers >= _EARLIEST_MS) & (numbers <= _LATEST_MS), values, where)
        times = np.rint(numbers).astype(np.int64)
    is_date = (times >= _EARLIEST_MS) & (times <= _LATEST_MS) & (np.abs(times) >= FIRST_YEAR_MS)
    _require_all(is_date, values, where)
    return times


def parse_time(text: str, where: str) -> int:
    """Convert one date to epoch milliseconds.

    Args:
        text: in ISO 8601, in UTC if it has no offset; or as in TIFF's own tag, 2018:01:31 10:29:21.
        where: names what has it, for messages.

    Returns:
        Epoch milliseconds.

    Raises:
        ValueError: it is no date, is within a year of 1970 or out of the years 1900 to 9999.
    """
    return int(epoch_ms(np.array([re.sub(r"^(\d{4}):(\d\d):(\d\d)", r"\1-\2-\3", text.strip())]), where)[0])


def time_of_name(path: str, pattern: str, where: str) -> int:
    """Read the time of a frame from its file's name, or from those of the folders that it is in.

    Without a pattern, this is the sensing time of a Sentinel-2 product, the start of a Sentinel-1 product or the date
    of a Landsat product; else the only date in the file's name, or in the innermost folder that has one.

    Args:
        path: of the file, its folders separated by slashes.
        pattern: a regular expression that is searched for in the path; empty for none. Its group 1 is a date in
            ISO 8601, or its groups are called year, month and day, or year and doy, and hour, minute and second.
        where: names the file, for messages.

    Returns:
        Epoch milliseconds; a date's midnight in UTC if it has no time.

    Raises:
        ValueError: the path has no date or several, or the pattern is none or does not match.
    """
    time_ms = _by_pattern(path, pattern, where) if pattern else _by_layout(path, where)
    return int(epoch_ms(np.array([time_ms], "datetime64[ms]"), where)[0])


def sentinel2_baseline(path: str) -> float | None:
    """Read the processing baseline of a Sentinel-2 product from the name of its folder or file.

    Args:
        path: of the file, its folders separated by slashes.

    Returns:
        The baseline, such as 4.0 for N0400. From 4.0 on, digital numbers have an offset of 1000; so have those of
        99.99, which are reprocessed. None if no name in the path is of such a product.
    """
    match = next((match for part in _inside_out(path) if (match := _SENTINEL2.search(part))), None)
    return int(match[2]) / 100 if match else None


def _require_all(is_valid: np.ndarray, values: np.ndarray, where: str) -> None:
    if not is_valid.all():
        first = int(np.argmin(is_valid))
        raise ValueError(
            f"{where}: time {first} of {len(values)} is {printable(_text(values[first]), 50)}, expected a date from"
            " 1900 to 9999 that is not within a year of 1970"
        )


def _text(value: object) -> str:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)


def _parse(text: str, what: str) -> int:
    try:
        return to_ms(text.strip())
    except ValueError:
        raise ValueError(
            f"{what} is {printable_value(text[:50])}, expected ISO 8601 as in 2018-01-31 or 20180131T102921"
        ) from None


def _inside_out(path: str) -> Iterator[str]:
    """Give the name of a file, then those of its folders."""
    return reversed(PurePosixPath(path).parts)


def _by_layout(path: str, where: str) -> int:
    for part in _inside_out(path):
        for product in _PRODUCTS:
            if match := product.search(part):
                return _parse(match[1], f"{where}: the time in its name")
    for part in _inside_out(path):
        stamps = {to_ms(match[0]): match[0] for match in _STAMP.finditer(part) if _is_date(match[0])}
        if len(stamps) > 1:
            raise ValueError(
                f"{where}: {printable(repr(part), 100)} has {len(stamps)} dates,"
                f" {' and '.join(list(stamps.values())[:3])}, expected one: give `time`, a pattern of file names"
            )
        if stamps:
            return next(iter(stamps))
    raise ValueError(f"{where}: no date in {printable_value(path)}, expected one: give `time`, a pattern of file names")


def _is_date(stamp: str) -> bool:
    try:
        to_ms(stamp)
    except ValueError:
        return False
    return True


def _by_pattern(path: str, pattern: str, where: str) -> int:
    what = f"{where}: `time` is {printable_value(pattern)}"
    if len(pattern) > MAX_PATTERN:
        raise ValueError(f"{what} of {len(pattern)} characters, expected at most {MAX_PATTERN}")
    try:
        expression = re.compile(pattern)
    except (re.error, OverflowError) as error:
        raise ValueError(f"{what}, which is no regular expression: {error}") from None
    names = expression.groupindex.keys()
    is_named = "year" in names
    has_date = _DATE.issubset(names) or _DAY_OF_YEAR.issubset(names) if is_named else expression.groups > 0
    if not has_date:
        raise ValueError(
            f"{what}, expected a group around the date, or groups called year, month and day or year and doy"
        )
    match = expression.search(path)
    if not match:
        raise ValueError(f"{what}, which {printable_value(path)} does not match")
    if not is_named:
        return _parse(match[1] or "", f"{where}: group 1 of `time`")
    return _from_groups({name: text for name, text in match.groupdict().items() if text}, where)


def _from_groups(groups: dict[str, str], where: str) -> int:
    try:
        numbers = {name: int(groups[name]) for name in (*_DATE, *_TIME, "doy") if name in groups}
        hour, minute, second = (numbers.get(name, 0) for name in _TIME)
        if _DATE.issubset(numbers):
            instant = datetime(numbers["year"], numbers["month"], numbers["day"], hour, minute, second)
        else:
            instant = datetime(numbers["year"], 1, 1, hour, minute, second) + timedelta(days=numbers["doy"] - 1)
        if instant.year != numbers["year"]:
            raise ValueError("the day is of another year")
    except (KeyError, ValueError, OverflowError):
        raise ValueError(
            f"{where}: the groups of `time` are {printable_value(groups)}, expected a date that exists"
        ) from None
    return to_ms(instant.isoformat())
