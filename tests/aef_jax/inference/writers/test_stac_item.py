"""Tests of STAC items beside fields, read by pystac."""

import hashlib
from datetime import UTC, datetime

import pytest

from aef_jax.data.store.site import to_ms
from aef_jax.inference.coordinates import outline
from aef_jax.inference.writers.stac_item import write_stac_item
from aef_jax.inference.writers.zarr_store import write_zarr
from tests.support.data.fields import INFO, save_cog, unit_field

pystac = pytest.importorskip("pystac", reason="pystac is in the optional extra fields")


def read_valid(path):
    """Read an item, and validate it by pystac's copies of the core's schemas; those of extensions are online."""
    from pystac.validation import validate_dict

    item = pystac.Item.from_file(str(path))
    assert len(validate_dict(item.to_dict() | {"stac_extensions": []})) == 1
    return item


def test_an_item_of_a_cog_tells_ground_time_and_numbers(tmp_path):
    from pystac.extensions.file import FileExtension
    from pystac.extensions.projection import ProjectionExtension
    from pystac.extensions.raster import RasterExtension

    path = save_cog(tmp_path / "field.tif", unit_field())
    item = read_valid(write_stac_item(path, [INFO], "int8"))
    # 1360 m east of the meridian of 3 degrees, where a degree has 70.4 km; a degree of latitude has 111.2 km
    west, south, east, north = item.bbox
    assert (west, east - west) == pytest.approx((3 + 1.36 / 70.4, 0.3 / 70.4), abs=1e-4)
    assert north - south == pytest.approx(0.4 / 111.2, abs=1e-4)
    assert item.geometry["coordinates"][0][0] == item.geometry["coordinates"][0][-1]
    assert item.common_metadata.start_datetime == datetime(2019, 1, 1, tzinfo=UTC)
    assert item.common_metadata.end_datetime == datetime(2020, 1, 1, tzinfo=UTC)
    assert item.common_metadata.gsd == 10
    projection = ProjectionExtension.ext(item)
    assert (projection.code, projection.shape) == ("EPSG:32631", [40, 30])
    assert projection.bbox == [501360, 5629680 - 400, 501360 + 300, 5629680]
    assert tuple(projection.transform) == INFO.transform
    asset = item.assets["embeddings"]
    assert (asset.href, asset.media_type, asset.roles) == ("./field.tif", pystac.MediaType.COG, ["data"])
    assert [band["name"] for band in asset.extra_fields["bands"]][::63] == ["A00", "A63"]
    bands = RasterExtension.ext(asset).bands
    assert {(band.data_type, band.nodata) for band in bands} == {("int8", -128)}
    assert FileExtension.ext(asset).size == path.stat().st_size
    assert FileExtension.ext(asset).checksum == "1220" + hashlib.sha256(path.read_bytes()).hexdigest()
    assert not [uri for uri in item.stac_extensions if "mlm" in uri]


def test_an_item_of_a_store_spans_periods_and_names_the_model(tmp_path):
    from pystac.extensions.mlm import MLMExtension

    infos = [INFO, INFO._replace(period=(to_ms("2020-01-01"), to_ms("2020-07-01")))]
    with write_zarr(tmp_path / "fields.zarr", infos, "float32"):
        pass
    item = read_valid(write_stac_item(tmp_path / "fields.zarr", infos, "float32", weights="runs/tiny"))
    assert item.common_metadata.end_datetime == datetime(2020, 7, 1, tzinfo=UTC)
    assert item.assets["embeddings"].media_type == "application/vnd.zarr; version=3"
    assert item.assets["embeddings"].extra_fields["nodata"] == "nan"
    model = MLMExtension.ext(item)
    assert (model.architecture, item.properties["mlm:name"]) == ("AlphaEarth Foundations", "AEF tiny step 800")
    assert model.output[0].result.shape == [40, 30, 64]
    assert item.assets["model"].roles == ["mlm:model"]


def test_a_field_across_the_antimeridian_is_two_boxes():
    """In UTM zone 60 at 9 degrees north, the 180th meridian lies 330 km east of the central one, at 830 km."""
    transform = (10.0, 0.0, 825_000.0, 0.0, -10.0, 1e6)
    geometry, bbox = outline(INFO._replace(crs="EPSG:32660", transform=transform, shape=(1000, 1000)))
    assert geometry["type"] == "MultiPolygon"
    (west_box,), (east_box,) = geometry["coordinates"]
    assert (max(x for x, _ in west_box), min(x for x, _ in east_box)) == (180, -180)
    assert 179.9 < bbox[0] < 180
    assert -180 < bbox[2] < -179.9


def test_a_field_without_a_period_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"field\.tif: a field has no period"):
        write_stac_item(tmp_path / "field.tif", [INFO._replace(period=None)], "int8")
