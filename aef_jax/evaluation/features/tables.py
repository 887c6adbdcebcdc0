"""Features that are stored in a row for each label: arrays and tables."""

import re
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Num

from aef_jax.data.places.csv_rows import read_rows
from aef_jax.data.places.parquet import MAX_PARQUET_BYTES
from aef_jax.evaluation.labels.labeled_points import LabeledPoints
from aef_jax.evaluation.labels.point_arrays import MAX_ARCHIVE_BYTES, read_arrays
from configs.fields.quantize import dequantize
from configs.serialization.printable import printable, sentence
from configs.serialization.read_file import open_regular
from configs.validate import require

SUFFIXES = (".npy", ".npz", ".csv", ".parquet")
DEFAULT_PREFIX = "A"
"""The released layers call their bands A00 to A63."""


def sample_table(path: Path, selector: str, points: LabeledPoints) -> Float32[np.ndarray, "N F"]:
    """Read features, and choose the rows of points.

    Args:
        path: .npy; .npz; or .csv or .parquet, whose columns are a prefix and a number.
        selector: of an .npz, ARRAY or ARRAY:SLOT, where SLOT is an index of the second axis or its name in the array
            `slot`; of a table, the prefix (A by default).
        points: the points; their file has as many rows.

    Returns:
        The features. Stored int8 vectors are dequantized and normalized, and their no data are NaN.

    Raises:
        ValueError: the file cannot be read, or has another number of rows than the labels.
    """
    match path.suffix.lower():
        case ".npy":
            values = _read_array(path)
        case ".npz":
            values = _read_slot(path, selector)
        case ".csv":
            values = _read_csv(path, selector or DEFAULT_PREFIX)
        case _:
            values = _read_parquet(path, selector or DEFAULT_PREFIX)
    require(
        values.ndim == 2 and values.dtype.kind in "iuf",
        f"{path}: its features are {values.dtype} of shape {values.shape}, expected numbers of shape (rows, features)"
        + (": choose one slot, as in FILE.npz:ARRAY:SLOT" if values.ndim == 3 else ""),
    )
    require(
        len(values) == points.num_rows,
        f"{path}: it has {len(values):,} rows, expected {points.num_rows:,}, one for each row of {points.where}",
    )
    if values.dtype == np.int8:
        vectors = dequantize(values)
        with np.errstate(invalid="ignore"):
            values = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return values.astype(np.float32)[points.row]


def _read_array(path: Path) -> Num[np.ndarray, "..."]:
    with open_regular(path, MAX_ARCHIVE_BYTES) as file:
        try:
            return np.load(file, allow_pickle=False)
        except (OSError, EOFError, ValueError) as error:
            raise ValueError(f"{path}: {sentence(error)}, expected an array in an .npy") from None


def _read_slot(path: Path, selector: str) -> Num[np.ndarray, "..."]:
    name, _, slot = selector.partition(":")
    require(bool(name), f"{path}: no array is named, expected FILE.npz:ARRAY or FILE.npz:ARRAY:SLOT")
    (values,) = read_arrays(path, (name,))
    if not slot:
        return values
    require(values.ndim == 3, f"{path}: array {name!r} has shape {values.shape}, expected (rows, slots, features)")
    names = list(map(str, range(values.shape[1])))
    if slot not in names:
        names = [str(each) for each in read_arrays(path, ("slot",))[0].tolist()][: values.shape[1]]
    require(slot in names, f"{path}: it has no slot {slot!r}, only {', '.join(map(printable, names))}")
    return values[:, names.index(slot)]


def _read_csv(path: Path, prefix: str) -> Float32[np.ndarray, "N F"]:
    rows, columns = [], []
    for place, row in read_rows(path, ()):
        columns = columns or _feature_columns(path, list(row), prefix)
        try:
            rows.append([float(row[name] or "nan") for name in columns])
        except ValueError as error:
            raise ValueError(f"{path}, {place}: {sentence(error)}, expected numbers in {columns[0]} ...") from None
    return np.array(rows, np.float32).reshape(len(rows), len(columns))


def _read_parquet(path: Path, prefix: str) -> Float32[np.ndarray, "N F"]:
    try:
        import pyarrow
        from pyarrow.parquet import ParquetFile
    except ModuleNotFoundError:
        raise ModuleNotFoundError(f"{path} is Parquet, which needs the package pyarrow: install aef[build]") from None
    with open_regular(path, MAX_PARQUET_BYTES) as file:
        try:
            table = ParquetFile(file, pre_buffer=False)
            columns = _feature_columns(path, table.schema_arrow.names, prefix)
            read = table.read(columns=columns, use_threads=False)
            return np.stack([read[name].cast("float32").to_numpy() for name in columns], axis=-1)
        except (pyarrow.ArrowException, OSError) as error:
            raise ValueError(f"{path}: its Parquet cannot be read: {sentence(error)}") from None


def _feature_columns(path: Path, names: list[str], prefix: str) -> list[str]:
    """Return the columns whose name is a prefix and a number, in the order of the numbers."""
    numbers = {name: re.fullmatch(rf"{re.escape(prefix)}(\d{{1,6}})", name) for name in names}
    columns = sorted((name for name in names if numbers[name]), key=lambda name: int(name[len(prefix) :]))
    require(
        bool(columns), f"{path}: it has no column {printable(prefix)}0, {printable(prefix)}1 ..., expected features"
    )
    return columns
