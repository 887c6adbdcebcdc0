"""Read the rows of Parquet and GeoParquet (geoparquet.org, versions 1.0 and 1.1), batch by batch."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from aef_jax.data.places.geometry import Row, ToDegrees, to_degrees_from
from aef_jax.data.places.wkb import parse_wkb
from configs.serialization.printable import printable, printable_value, sentence
from configs.serialization.read_file import open_regular
from configs.serialization.strict_json import loads
from configs.validate import require

MAX_PARQUET_BYTES = 2**30
"""Most bytes of a file, and of each row group when it is not compressed."""
MAX_ROWS = 10_000_000
"""Most rows of a file: a few bytes can repeat a value billions of times."""
_BATCH_ROWS = 16_384
_LON_LAT = ["lon", "lat"]


def read_parquet(path: Path, required: Sequence[str], optional: Sequence[str]) -> Iterator[Row]:
    """Read the rows of a file. Memory holds a batch of them.

    Args:
        path: a file with the columns lon and lat, or with geometries in WKB and the metadata `geo`.
        required: columns that must be there.
        optional: further ones to read.

    Yields:
        The rows, counted from 1. Dates and times are text in ISO 8601.

    Raises:
        ModuleNotFoundError: pyarrow is not installed.
        ValueError: the file is too large, is not Parquet, or lacks a column.
    """
    try:
        import pyarrow
        from pyarrow.parquet import ParquetFile, read_metadata
    except ModuleNotFoundError:
        raise ModuleNotFoundError(f"{path} is Parquet, which needs the package pyarrow: install aef[build]") from None
    with open_regular(path, MAX_PARQUET_BYTES) as file:
        try:
            metadata = read_metadata(file)
            schema = metadata.schema.to_arrow_schema()
            geometry, to_degrees = _geometry_column(path, schema)
            names = _existing(path, schema, [*([geometry] if geometry else _LON_LAT), *required], optional)
            _require_few(path, metadata)
            # a text that many rows repeat stays one text
            texts = [name for name in names if _is_text(schema.field(name).type)]
            table = ParquetFile(file, metadata=metadata, read_dictionary=texts, pre_buffer=False, buffer_size=2**20)
            number = 0
            for batch in table.iter_batches(_BATCH_ROWS, columns=names, use_threads=False):
                batch.validate(full=True)  # indices of a dictionary, UTF-8
                columns = {name: _values(batch.column(name)) for name in names}
                for values in zip(*columns.values(), strict=True):
                    number += 1
                    properties = dict(zip(names, values, strict=True))
                    place = f"row {number}"
                    yield Row(place, _geometry(path, place, properties, geometry), properties, to_degrees)
        except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
            raise ValueError(f"{path}: its Parquet cannot be read: {sentence(error)}") from None


def _geometry_column(path: Path, schema: Any) -> tuple[str, ToDegrees | None]:
    """Return the column with geometries and its conversion; an empty name if the metadata have none."""
    geo = (schema.metadata or {}).get(b"geo")
    if geo is None:
        return "", None
    match loads(f"{path}: metadata geo", geo):
        case {"primary_column": str(name), "columns": dict(columns)} if isinstance(columns.get(name), dict):
            column = columns[name]
        case _:
            raise ValueError(f"{path}: its metadata geo name no primary column, expected GeoParquet 1.0 or 1.1")
    where = f"{path}, column {printable(name)}"
    encoding = column.get("encoding")
    require(encoding == "WKB", f"{where}: its encoding is {printable_value(encoding)}, expected WKB")
    require(
        name in schema.names and _is_bytes(schema.field(name).type),
        f"{path}: there is no column {printable(name)!r} of bytes, expected the geometries that the metadata geo name",
    )
    if "crs" not in column:
        return name, None  # longitude and latitude, WGS 84
    require(isinstance(column["crs"], dict), f"{where}: its crs is unknown, expected one in PROJJSON")
    return name, to_degrees_from(column["crs"], where)


def _existing(path: Path, schema: Any, required: Sequence[str], optional: Sequence[str]) -> list[str]:
    """Return the columns to read, each of a type that is read here."""
    for name in required:
        require(name in schema.names, f"{path}: there is no column {name!r}, expected {', '.join(required)}")
    names = [name for name in dict.fromkeys([*required, *optional]) if name in schema.names]
    for name in names:
        require(schema.names.count(name) == 1, f"{path}: it has several columns {name!r}, expected one")
        kind = schema.field(name).type
        require(
            _is_plain(kind),
            f"{path}: column {name!r} holds {printable(str(kind))}, expected numbers, text, dates or WKB",
        )
    return names


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    return types.is_string(kind) or types.is_large_string(kind) or _is_bytes(kind)


def _is_bytes(kind: Any) -> bool:
    from pyarrow import types

    return types.is_binary(kind) or types.is_large_binary(kind)


def _is_plain(kind: Any) -> bool:
    from pyarrow import types

    if types.is_dictionary(kind):
        return _is_plain(kind.value_type)
    numbers = types.is_integer, types.is_floating, types.is_decimal, types.is_boolean, types.is_null
    return _is_text(kind) or any(is_kind(kind) for is_kind in (*numbers, types.is_date, types.is_timestamp))


def _require_few(path: Path, metadata: Any) -> None:
    rows = metadata.num_rows
    require(0 <= rows <= MAX_ROWS, f"{path} has {rows:,} rows, expected at most {MAX_ROWS:,}")
    # of all columns: pyarrow ends the process (26.0) if the metadata of a single one are damaged
    sizes = [metadata.row_group(index).total_byte_size for index in range(metadata.num_row_groups)]
    size = max(sizes, default=0)
    require(
        size <= MAX_PARQUET_BYTES, f"{path}: a row group has {size:,} bytes, expected at most {MAX_PARQUET_BYTES:,}"
    )


def _values(column: Any) -> list[Any]:
    """Convert a column to Python values. None is no value; rows with the same text share it."""
    import pyarrow

    if pyarrow.types.is_dictionary(column.type):
        values = _values(column.dictionary)
        return [None if index is None else values[index] for index in column.indices.to_pylist()]
    is_time = pyarrow.types.is_temporal(column.type)
    return (column.cast(pyarrow.string()) if is_time else column).to_pylist()


def _geometry(path: Path, place: str, properties: dict[str, Any], column: str) -> Any:
    if not column:
        return {"type": "Point", "coordinates": (properties["lon"], properties["lat"])}
    try:
        return None if properties[column] is None else parse_wkb(properties[column])
    except ValueError as error:
        raise ValueError(f"{path}, {place}: {error}") from None
