"""A user's own frames, from NumPy or xarray, checked and brought to one form."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int64, Num

from configs.fields.periods import Period, require_period
from configs.serialization.printable import printable
from configs.source import PIXEL_M, PIXEL_TOLERANCE, Source

Time = str | date | datetime | np.datetime64
TIME_DIMS, Y_DIMS, X_DIMS, BAND_DIMS = (
    ("time", "t", "timestamp"),
    ("y", "lat"),
    ("x", "lon"),
    ("band", "bands", "channel"),
)


class RawFrames(NamedTuple):
    """The frames of one source over one area, in the units of its bands, in the order of their times."""

    pixels: Num[np.ndarray, "N H W C"]
    time_ms: Int64[np.ndarray, "N"]


def read_frames(source: Source, frames: Any) -> RawFrames:
    """Read and check the frames of one source.

    Args:
        source: its row of the table of sources: bands and their units.
        frames: a tuple (pixels, times) or (pixels, times, mask), or an xarray.DataArray or Dataset. `pixels` is
            (N, H, W, C) in the units of the bands, NaN or masked without data; so is a band that a frame lacks.
            `times` has N dates or instants: datetime64, datetime or ISO 8601, in UTC. `mask` is True where there is
            data, (N, H, W) or (N, H, W, C). It is not a cloud mask: the model is trained on frames with their clouds. A
            DataArray has dimensions time, y, x and band, in any order; if its bands have names, they are put into the
            source's order. The variables of a Dataset are its bands.

    Returns:
        The frames in the order of their times; floating point with NaN if a pixel is masked.

    Raises:
        ValueError: shapes do not fit, bands are missing, a time is none, or pixels are not 10 m apart.
    """
    where = f"source {source.name}"
    if hasattr(frames, "data_vars"):
        frames = _bands_of_dataset(where, source, frames)
    if hasattr(frames, "dims"):
        frames = _of_data_array(where, source, frames)
    if not (isinstance(frames, Sequence) and len(frames) in (2, 3)):
        raise ValueError(
            f"{where}: frames are a {type(frames).__name__}, expected (pixels, times), (pixels, times, mask) or xarray"
        )
    pixels, times = _pixels(where, source, *frames[::2]), _times_ms(where, frames[1])
    if len(times) != len(pixels):
        raise ValueError(f"{where}: there are {len(times)} times for {len(pixels)} frames, expected one for each")
    order = np.argsort(times, kind="stable")
    return RawFrames(pixels[order], times[order])


def read_period(period: int | tuple[Time, Time]) -> Period:
    """Read a valid or support period.

    Args:
        period: a calendar year, or its two ends as dates or instants in UTC; the end is not part of it.

    Returns:
        [start, end) in epoch milliseconds.

    Raises:
        ValueError: an end is no date.
    """
    if isinstance(period, int | np.integer):
        return read_period((f"{period:04d}-01-01", f"{period + 1:04d}-01-01"))
    start, end = _times_ms("period", list(period)).tolist()
    return start, end


def parse_period(name: str, words: Sequence[str]) -> Period:
    """Parse a period of a command line.

    Args:
        name: of the period in messages.
        words: a year, or start and end in ISO 8601, UTC.

    Returns:
        [start, end) in epoch milliseconds.

    Raises:
        ValueError: it is no such period, or empty.
    """
    year = words[0]
    is_year = len(words) == 1 and year.isascii() and year.isdecimal() and len(year) == 4
    if not is_year and len(words) != 2:
        raise ValueError(f"the {name} period is {printable(' '.join(words))}, expected a year, or START and END")
    period = read_period(int(year) if is_year else (words[0], words[1]))
    require_period(name, period)
    return period


def _pixels(where: str, source: Source, pixels: Any, mask: Any = None) -> np.ndarray:
    masked = np.ma.getmaskarray(pixels) if np.ma.isMaskedArray(pixels) else None
    array = np.ma.getdata(pixels) if masked is not None else np.asarray(pixels)
    if array.ndim != 4 or array.shape[-1] != source.channels or not np.issubdtype(array.dtype, np.number):
        bands = [band.name for band in source.bands]
        raise ValueError(
            f"{where}: pixels are {array.dtype} of shape {array.shape}, expected numbers of shape (frames, rows,"
            f" columns, {source.channels}) with the bands {bands}"
        )
    if mask is not None:
        mask = np.asarray(mask, bool)
        mask = mask[..., None] if mask.ndim == 3 else mask
        if mask.shape[:3] != array.shape[:3] or mask.shape[3] not in (1, source.channels):
            raise ValueError(
                f"{where}: the mask has shape {mask.shape}, expected {array.shape[:3]}, with or without bands"
            )
        masked = ~mask if masked is None else masked | ~mask
    return array if masked is None else np.where(masked, np.nan, array.astype(np.float64))


def _times_ms(where: str, times: Any) -> Int64[np.ndarray, "N"]:
    try:
        # of strings and datetimes NumPy makes an array of its own choice, of objects or text
        instants = np.array([_instant(time) for time in np.asarray(times).ravel()], "datetime64[ms]")
    except (TypeError, ValueError):
        raise ValueError(
            f"{where}: times are {_short(times)}, expected datetime64, or dates in ISO 8601 such as 2018-01-01"
        ) from None
    if np.isnat(instants).any():
        raise ValueError(f"{where}: {int(np.isnat(instants).sum())} of {len(instants)} times are NaT, expected dates")
    return instants.astype(np.int64)


def _instant(time: Any) -> np.datetime64:
    """One instant, in UTC. A bare number is refused: whether it counts seconds or days is not known."""
    if isinstance(time, np.datetime64):
        return time.astype("datetime64[ms]")
    instant = datetime.fromisoformat(str(time)) if isinstance(time, str) else time
    if isinstance(instant, datetime) and instant.tzinfo is not None:
        return np.datetime64(round(instant.timestamp() * 1000), "ms")
    if not isinstance(instant, date):
        raise TypeError(type(time).__name__)
    return np.datetime64(instant, "ms")


def _short(times: Any) -> str:
    text = str(times)
    return text if len(text) <= 80 else f"{text[:80]}..."


def _bands_of_dataset(where: str, source: Source, dataset: Any) -> Any:
    names = _by_band(where, source, list(dataset.data_vars))
    return dataset[names].to_array("band")


def _of_data_array(where: str, source: Source, array: Any) -> tuple[np.ndarray, np.ndarray]:
    dims = []
    for meaning, names in (("time", TIME_DIMS), ("y", Y_DIMS), ("x", X_DIMS), ("band", BAND_DIMS)):
        present = [dim for dim in array.dims if dim in names]
        if len(present) != 1:
            raise ValueError(
                f"{where}: dimensions are {list(array.dims)}, expected one for {meaning}, called {' or '.join(names)}"
            )
        dims += present
    if len(array.dims) != 4 or dims[0] not in array.coords:
        raise ValueError(f"{where}: dimensions are {list(array.dims)}, expected {dims} and a coordinate of times")
    array = array.transpose(*dims)
    for dim in dims[1:3]:
        _require_pixels(where, dim, array)
    band = dims[3]
    if band in array.coords and array[band].dtype.kind in "UO":
        names = [str(name) for name in array[band].values]
        order = [names.index(name) for name in _by_band(where, source, names)]
        array = array.isel({band: order})
    return array.values, array[dims[0]].values


def _require_pixels(where: str, dim: str, array: Any) -> None:
    """Raise ValueError if the array has coordinates along a dimension, and they are not those of pixels of 10 m."""
    if dim in array.coords and array.sizes[dim] > 1:
        steps = np.abs(np.diff(array[dim].values))
        if not np.allclose(steps, PIXEL_M, rtol=PIXEL_TOLERANCE):
            raise ValueError(
                f"{where}: its coordinates {dim} are {np.median(steps):g} apart, expected {PIXEL_M}, in meters"
            )


def _by_band(where: str, source: Source, names: list[str]) -> list[str]:
    """Select the user's names of the source's bands, in the source's order; B02 is B2."""
    spelled = {_spelling(name): name for name in reversed(names)}
    missing = [band.name for band in source.bands if _spelling(band.name) not in spelled]
    if missing:
        raise ValueError(
            f"{where}: there is no band {missing[0]} among {names}, expected {[b.name for b in source.bands]}; give NaN"
            " if no frame has it"
        )
    return [spelled[_spelling(band.name)] for band in source.bands]


def _spelling(band: str) -> str:
    letters = band.rstrip("0123456789")
    digits = band[len(letters) :]
    return letters.lower() + (digits.lstrip("0") or digits)


def grid_coordinates(frames: Mapping[str, Any]) -> dict[str, Any] | None:
    """Find the coordinates of the area in frames that come from xarray.

    Args:
        frames: what the user gave, by source.

    Returns:
        The coordinates y and x, and `spatial_ref` if there is one; None if no source came from xarray.
    """
    for given in frames.values():
        if hasattr(given, "dims"):
            places = {"y": Y_DIMS, "x": X_DIMS, "spatial_ref": ("spatial_ref", "crs")}
            named = {name: next((given[n] for n in names if n in given.coords), None) for name, names in places.items()}
            return {
                name: (name, coordinate.values) if name != "spatial_ref" else coordinate.variable
                for name, coordinate in named.items()
                if coordinate is not None
            }
    return None
