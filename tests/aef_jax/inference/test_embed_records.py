"""Fields of stored sites in files: names, formats, several periods, and work that goes on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aef_jax.data.store.dataset import Dataset
from aef_jax.files.resumable import Part
from aef_jax.inference.embed_records import embed_records
from aef_jax.inference.imagery.areas import polygon_of_bounds, sites_in_area
from aef_jax.inference.readers.open_field import open_field
from aef_jax.inference.request import Request, Weights
from aef_jax.inference.site import embed_site
from aef_jax.inference.target import Target, name_period
from configs.fields.frames import read_period
from configs.sources import SENTINEL2
from tests.aef_jax.inference.test_site import EMBEDDER, YEAR, make_site
from tests.support.data.small_dataset import write
from tests.support.refusals import error_message

pytestmark = pytest.mark.slow

SUMMER = read_period(("2019-06-01", "2019-09-01"))
SITES = [
    replace(make_site(name, side), transform=(10, 0, x, 0, -10, 5e6))
    for name, side, x in (("west", 32, 4e5), ("../east", 40, 5e5), ("north", 32, 6e5))
]


def request(output: Path, periods=(YEAR, SUMMER), format="cog", dtype="float32", calls=None) -> Request:
    def model(frames, codes):
        if calls is not None:
            calls.append(len(codes))
        return EMBEDDER.model(frames, codes)

    embedder = replace(EMBEDDER, model=model)
    return Request(Weights(embedder, "made", 2), periods, None, Target(output, format, dtype, stac=False))


def readers(sites=SITES):
    return [lambda site=site: site for site in sites]


def vectors_of(path: Path) -> np.ndarray:
    field = open_field(str(path))
    return field.read(*(slice(0, length) for length in field.info.shape))


def test_each_site_and_period_has_a_file(tmp_path):
    paths = embed_records(request(tmp_path / "out"), readers(), "mine")
    assert sorted(path.name for path in paths) == sorted(
        f"{name}_{period}.tif" for name in ("west", "_east", "north") for period in ("2019", "2019-06-01_2019-09-01")
    )
    assert all(path.with_suffix(".png").exists() and path.parent == tmp_path / "out" for path in paths)
    np.testing.assert_allclose(
        vectors_of(tmp_path / "out" / "_east_2019.tif"), embed_site(EMBEDDER, SITES[1], YEAR), atol=1e-6
    )
    assert not (tmp_path / "out.embedding").exists()


def test_a_zarr_store_holds_all_periods(tmp_path):
    (path,) = embed_records(request(tmp_path / "one.zarr"), readers(SITES[:1]), "mine")
    info = open_field(f"{path}#2019-06").info
    assert (info.period, info.model) == (SUMMER, "made, site west")
    assert [each.name for each in sorted(tmp_path.iterdir())] == [
        *("one.zarr", "one_2019-06-01_2019-09-01.png", "one_2019.png"),
    ]


def test_stopped_work_leaves_out_what_is_written(tmp_path):
    def stop():
        raise KeyboardInterrupt

    sites = [replace(SITES[0], name=f"site{number}") for number in range(8)]
    with pytest.raises(KeyboardInterrupt):
        embed_records(request(tmp_path / "out", [YEAR]), [*readers(sites[:7]), stop], "mine")
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.tif")}
    assert 0 < len(before) < 7
    calls: list[int] = []
    written = embed_records(request(tmp_path / "out", [YEAR], calls=calls), readers(sites), "mine")
    assert {path.name for path in written}.isdisjoint(before)
    assert len(written) + len(before) == 8
    assert sum(calls) <= len(written) + 1, "the last batch may repeat a tile"
    assert before.items() <= {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.tif")}.items()


def test_parts_write_all_sites(tmp_path):
    for index in (2, 1):
        embed_records(request(tmp_path / "out"), readers(), "mine", Part(index, 2))
    assert len(list((tmp_path / "out").glob("*.tif"))) == 6
    assert "out.embedding is of another model, data set or periods" in error_message(
        embed_records, request(tmp_path / "out", [YEAR]), readers(), "mine"
    )
    assert embed_records(request(tmp_path / "out"), readers(), "mine") == []


def test_sites_are_those_whose_center_is_in_the_area(tmp_path):
    dataset = Dataset.open(
        write(tmp_path / "data", *([site.between(*YEAR)] for site in (SITES[0], SITES[2])), (SENTINEL2,))
    )
    inside = polygon_of_bounds((3.5, 45.0, 5.0, 46.0))  # north is at 4.27 degrees east
    paths = embed_records(request(tmp_path / "out", [YEAR]), sites_in_area(dataset, inside), "mine")
    assert [path.name for path in paths] == ["north_2019.tif"]
    nothing = sites_in_area(dataset, polygon_of_bounds((10.0, 45.0, 11.0, 46.0)))
    assert "mine: none of its sites is in the area" in error_message(
        embed_records, request(tmp_path / "none"), nothing, "mine"
    )


def test_targets_that_do_not_fit_are_refused(tmp_path):
    for name, part in (("a.tif", "for one field, and there are 6"), ("a.zarr", "for one grid, and there are 3")):
        assert part in error_message(embed_records, request(tmp_path / name), readers(), "mine")
    assert "a.png is no path for fields" in error_message(embed_records, request(tmp_path / "a.png"), readers(), "mine")
    assert list(tmp_path.iterdir()) == []
    assert [name_period(YEAR), name_period(SUMMER)] == ["2019", "2019-06-01_2019-09-01"]
    assert name_period(read_period(("2019-01-01", "2021-01-01"))) == "2019-01-01_2021-01-01"
