"""Write a STAC item beside a field: what catalogs, odc-stac and stackstac need to find and to open it."""

import hashlib
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aef_jax.files.atomic import replace_file
from aef_jax.inference.coordinates import bounds, outline
from aef_jax.inference.encoding import DEQUANTIZE, NO_DATA_OF, StoredAs, band_names
from aef_jax.inference.extras import needs_extra
from aef_jax.inference.field import FieldInfo
from configs.serialization.printable import printable
from configs.source import PIXEL_M


def write_stac_item(path: Path, infos: Sequence[FieldInfo], dtype: StoredAs, weights: str | None = None) -> Path:
    """Write the STAC item of a finished file, with the raster, projection and file extensions, and the mlm extension.

    Args:
        path: the COG or the Zarr store.
        infos: of its fields: one of a COG, one for each period of a store.
        dtype: its number type.
        weights: path or URL of the model's weights. Without it the item has no mlm extension, which asks for them.

    Returns:
        Path of the item, PATH with the ending .json.

    Raises:
        ModuleNotFoundError: pystac or pyproj is not installed.
        ValueError: a field has no period.
    """
    with needs_extra("STAC items", "fields"):
        import pystac
        from pystac.extensions.projection import ProjectionExtension
    info = infos[0]
    periods = [period for info in infos if (period := info.period)]
    if len(periods) < len(infos):
        raise ValueError(f"{path}: a field has no period, expected one for its STAC item")
    geometry, bbox = outline(info)
    starts, ends = zip(*periods, strict=True)
    start, end = (datetime.fromtimestamp(ms / 1000, UTC) for ms in (min(starts), max(ends)))
    properties = {"gsd": PIXEL_M, "title": f"embedding field {path.stem}"}
    if info.model:
        properties["description"] = f"AlphaEarth Foundations embedding field, by {printable(info.model)}"
    item = pystac.Item(path.stem, geometry, bbox, None, properties, start_datetime=start, end_datetime=end)
    _add_data(item, path, info, dtype)
    projection = ProjectionExtension.ext(item, add_if_missing=True)
    is_code = re.fullmatch(r"\w+:\w+", info.crs) is not None
    projection.apply(
        code=info.crs if is_code else None,
        wkt2=None if is_code else info.crs,
        bbox=list(bounds(info)),
        shape=list(info.shape),
        transform=list(info.transform),
    )
    if weights is not None:
        _add_model(item, info, dtype, weights)
    with replace_file(target := path.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(item.to_dict(include_self_link=False), indent=2))
    return target


def _add_data(item: Any, path: Path, info: FieldInfo, dtype: StoredAs) -> None:
    import pystac
    from pystac.extensions.file import FileExtension
    from pystac.extensions.raster import DataType, RasterBand, RasterExtension

    no_data: Any = "nan" if dtype == "float32" else NO_DATA_OF[dtype]
    names = band_names(info.embed_dim)
    item.add_asset(
        "embeddings",
        pystac.Asset(
            f"./{path.name}",
            title="embedding field",
            description=DEQUANTIZE if dtype == "int8" else "unit vectors; NaN is no data",
            media_type="application/vnd.zarr; version=3" if path.is_dir() else pystac.MediaType.COG,
            roles=["data"],
            extra_fields={"data_type": dtype, "nodata": no_data, "bands": [{"name": name} for name in names]},
        ),
    )
    asset = item.assets["embeddings"]
    raster = RasterExtension.ext(asset, add_if_missing=True)
    band = RasterBand.create(nodata=no_data, data_type=DataType(dtype), spatial_resolution=PIXEL_M)
    raster.apply([RasterBand({**band.to_dict(), "name": name}) for name in names])
    files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
    size = sum(file.stat().st_size for file in files)
    FileExtension.ext(asset, add_if_missing=True).apply(size=size, checksum=None if path.is_dir() else _multihash(path))


def _add_model(item: Any, info: FieldInfo, dtype: StoredAs, weights: str) -> None:
    import pystac
    from pystac.extensions.mlm import MLMExtension, ModelOutput, ResultStructure, TaskType
    from pystac.extensions.raster import DataType

    # a name may hold letters, digits, spaces and ._-
    name = " ".join(re.sub(r"[^A-Za-z0-9._-]+", " ", f"AEF {info.model}").split()).strip("._- ")
    shape = ResultStructure.create([*info.shape, info.embed_dim], ["height", "width", "embedding"], DataType(dtype))
    tasks = [TaskType.SIMILARITY_SEARCH]
    MLMExtension.ext(item, add_if_missing=True).apply(
        name, "AlphaEarth Foundations", tasks, input=[], output=[ModelOutput.create("embedding field", tasks, shape)]
    )
    item.add_asset(
        "model",
        pystac.Asset(weights, title="weights", roles=["mlm:model"], extra_fields={"mlm:artifact_type": "aef"}),
    )


def _multihash(path: Path) -> str:
    with path.open("rb") as file:
        return f"1220{hashlib.file_digest(file, 'sha256').hexdigest()}"  # 0x12: SHA-256, 0x20: its 32 bytes
