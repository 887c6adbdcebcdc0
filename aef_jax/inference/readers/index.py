"""The GeoParquet index of the public annual layers: which files hold a piece of ground in a year.

`aef_index.parquet` lies in the folder of the layers, both in Google's bucket
(gs://alphaearth_foundations/satellite_embedding/v1/annual) and in its copy on Source Cooperative
(https://data.source.coop/tge-labs/aef/v1/annual). A row is a file, of up to 8192 x 8192 pixels of a UTM zone.
"""

from aef_jax.inference.extras import needs_extra
from configs.serialization.printable import printable, sentence

_COLUMNS = ("path", "year", "utm_zone", "wgs84_west", "wgs84_south", "wgs84_east", "wgs84_north")


def find_files(index: str, bounds: tuple[float, float, float, float], year: int) -> dict[str, list[str]]:
    """Find the files of the public layers that meet some bounds.

    Args:
        index: path or URL of the index.
        bounds: west, south, east, north in degrees.
        year: the calendar year.

    Returns:
        By UTM zone, such as 31N, the paths of its files as the index has them: one field for `open_fields`.

    Raises:
        ValueError: the index cannot be read, lacks a column, or has no file that meets the bounds.
        ModuleNotFoundError: pyarrow or fsspec is not installed.
    """
    with needs_extra("indexes of fields", "fields"):
        import fsspec
        import pyarrow.parquet
    west, south, east, north = bounds
    meets = [
        ("year", "==", year),
        ("wgs84_west", "<", east),
        ("wgs84_east", ">", west),
        ("wgs84_south", "<", north),
        ("wgs84_north", ">", south),
    ]
    try:
        with fsspec.open(index) as file:
            rows = pyarrow.parquet.read_table(file, columns=list(_COLUMNS), filters=meets).to_pylist()
        zones = {row["utm_zone"]: [] for row in rows}
        for row in rows:
            zones[row["utm_zone"]].append(row["path"])
    except Exception as error:  # of the file system, of the format, or of a column
        raise ValueError(
            f"{printable(index)} is no index with the columns {', '.join(_COLUMNS)}: {sentence(error)}"
        ) from error
    if not zones:
        raise ValueError(f"{printable(index)} has no file of {year} that meets the bounds {bounds}")
    return zones
