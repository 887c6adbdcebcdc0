"""Files of any format become the same records; what is wrong in them is told, and the rest is built."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from aef_jax.cli import main as cli
from aef_jax.data.build.build import build_dataset
from aef_jax.data.build.rejects import REJECTS_NAME
from aef_jax.data.store.dataset import Dataset
from aef_jax.data.store.records import SPLITS
from aef_jax.data.store.site import Site
from tests.support.data.scenes import CENTERS, CLOUD, CONFIG, classes, cube, scenes, stac_items, write_tiffs
from tests.support.data.stac import write_catalog
from tests.support.refusals import error_message

pytestmark = pytest.mark.slow
UNIT = "reflectance * 10000"


def write_config(folder: Path, files: str, unit: str = UNIT, name: str = "build.toml") -> Path:
    path = folder / name
    path.write_text(CONFIG.format(files=files, unit=unit))
    return path


def sites(folder: Path) -> list[Site]:
    dataset = Dataset.open(folder)
    return [site for split in SPLITS for site in dataset.records(split)]


def shards(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".csv"}


def test_every_format_gives_the_same_bytes(tmp_path):
    cube().to_netcdf(tmp_path / "cube.nc")
    cube().to_zarr(tmp_path / "cube2.zarr", zarr_format=2)
    cube().to_zarr(tmp_path / "cube3.zarr", zarr_format=3, consolidated=False)
    catalog = write_catalog(tmp_path / "stac", stac_items(tmp_path / "cogs"))
    (tmp_path / "points.csv").write_text(CENTERS)
    sources = [
        f"files = [{files}]" for files in (write_tiffs(tmp_path / "tiffs"), '"cube.nc"', '"cube2.zarr"', '"cube3.zarr"')
    ]
    built = []
    for source in (*sources, f'stac = "{catalog}"'):
        text = CONFIG.replace('extent_of = "sentinel2"', 'points = "points.csv"')
        (tmp_path / "build.toml").write_text(text.replace("files = [{files}]", source).format(unit=UNIT))
        output = tmp_path / f"out{len(built)}"
        summary = build_dataset(tmp_path / "build.toml", output, workers=1)
        assert (summary.sites, summary.frames["sentinel2"], summary.rejects) == (4, 16, [])
        built.append(shards(output))
    assert all(each == built[0] for each in built)
    assert {path.name for path in tmp_path.glob("*building*")} == set()


def test_records_have_the_pixels_and_masks_of_the_files(tmp_path):
    values, expected = scenes(), scenes()
    values[(1, slice(None), *CLOUD)], expected[(1, slice(None), *CLOUD)] = 65_535, 0  # fill that the mask hides
    build_dataset(write_config(tmp_path, write_tiffs(tmp_path / "tiffs", values)), tmp_path / "out", workers=1)
    north_west = next(site for site in sites(tmp_path / "out") if site.transform[2:6:3] == (500_000, 5_600_000))
    series = north_west.series["sentinel2"]
    np.testing.assert_array_equal(series.pixels, expected[:, :, :32, :32].transpose(0, 2, 3, 1))
    assert not series.valid[1][CLOUD].any()
    assert series.valid[1, 10:, :, 0].all()
    assert series.valid[0].all()


def reasons(output: Path) -> list[tuple[str, str]]:
    with (output / REJECTS_NAME).open() as file:
        return [(row["where"], row["reason"]) for row in csv.DictReader(file)]


def test_one_wrong_file_is_rejected_and_named(tmp_path):
    """In reflectance from 0 to 1, beside files in reflectance * 10000; and one is truncated."""
    values = scenes().astype(np.float32)
    values[2] /= 10_000
    files = write_tiffs(tmp_path / "tiffs", values, "float32")
    (tmp_path / "tiffs" / "s2_20230901T103000.tif").write_bytes(b"II*\0")
    summary = build_dataset(write_config(tmp_path, files), tmp_path / "out", workers=1)
    assert summary.sites == 4
    assert summary.frames["sentinel2"] == 8
    rejected = reasons(tmp_path / "out")
    assert rejected[0][0].endswith("s2_20230901T103000.tif")
    assert "cannot be read" in rejected[0][1]
    assert all("s2_20230701T103000.tif, band B02" in where for where, _ in rejected[1:])
    assert all("looks like reflectance from 0 to 1" in reason for _, reason in rejected[1:])


@pytest.mark.parametrize(
    ("factor", "unit", "message"),
    [
        (1e-4, UNIT, "looks like reflectance from 0 to 1"),
        (1.0, "reflectance", "scaled by 10000"),
        (1.0, "kelvin", "does not convert to the 'reflectance * 10000' of band B2"),
    ],
)
def test_values_of_another_unit_end_the_build(tmp_path, factor, unit, message):
    files = write_tiffs(tmp_path / "tiffs", scenes() * factor, "float32")
    refused = error_message(build_dataset, write_config(tmp_path, files, unit), tmp_path / "out", 1)
    assert message in refused
    assert not (tmp_path / "out").exists()


def test_a_reprocessed_scene_replaces_the_first(tmp_path):
    values = scenes()
    clear = np.full_like(classes(), 4)  # only the second processing finds the clouds
    write_tiffs(tmp_path / "s2" / "processed-20231001T120000", values, scl=clear)
    write_tiffs(tmp_path / "s2" / "processed-20231101T120000", np.where(values > 0, values + 7, 0))
    build_dataset(write_config(tmp_path, '"s2/*/*.tif"'), tmp_path / "out", workers=1)
    for site in sites(tmp_path / "out"):
        pixels = site.series["sentinel2"].pixels
        assert len(pixels) == 4
        assert pixels[pixels > 0].min() >= 107
        is_north_west = site.transform[2:6:3] == (500_000, 5_600_000)
        assert site.series["sentinel2"].valid[1][CLOUD].any() != is_north_west


def test_scenes_of_one_pass_are_one_frame(tmp_path):
    """The second scene, 24 s later, shows the edge that the first lacks."""
    values = scenes()
    write_tiffs(tmp_path / "s2" / "first", values)
    write_tiffs(tmp_path / "s2" / "second", np.full_like(values, 77), second=24)
    build_dataset(write_config(tmp_path, '"s2/*/*.tif"'), tmp_path / "out", workers=1)
    south_west = next(site for site in sites(tmp_path / "out") if site.transform[2:6:3] == (500_000, 5_599_680))
    series = south_west.series["sentinel2"]
    expected = np.where(values == 0, 77, values)[:, :, 32:, :32].transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(series.pixels, expected)
    assert (series.time_ms % 60_000 == 0).all(), "the time is that of the first scene"


def test_another_config_does_not_go_on_in_the_same_folder(tmp_path):
    files = write_tiffs(tmp_path / "tiffs")
    (tmp_path / "out.building").mkdir()
    (tmp_path / "out.building" / "plan.json").write_text(json.dumps("another"))
    refused = error_message(build_dataset, write_config(tmp_path, files), tmp_path / "out", 1)
    assert "is of a build with another config or other sites" in refused


def test_points_become_sites(tmp_path):
    config = write_config(tmp_path, write_tiffs(tmp_path / "tiffs"))
    config.write_text(config.read_text().replace('extent_of = "sentinel2"', 'points = "points.csv"'))
    (tmp_path / "points.csv").write_text(
        "lon,lat,name,split,weight\n3.003,50.5517,a,training,2.5\n3.006,50.5517,b,validation,\n"
    )
    assert build_dataset(config, tmp_path / "out", 1).sites == 2
    assert [(site.name, site.weight) for site in sites(tmp_path / "out")] == [("a", 2.5), ("b", 1.0)]


def test_appended_sites_are_those_of_one_build(tmp_path, capsys):
    """The second table has a site of the first, and one that is too near to its validation site."""
    config = write_config(tmp_path, write_tiffs(tmp_path / "tiffs"))
    text = (
        config.read_text().replace('extent_of = "sentinel2"', 'points = "points.csv"').replace("side = 32", "side = 16")
    )
    config.write_text(text.replace("min_distance_m = 0", "min_distance_m = 20"))
    header = "lon,lat,name,split"
    rows = {
        "a": "3.0014,50.5517,a,training",
        "b": "3.0050,50.5517,b,validation",
        "c": "3.0014,50.5493,c,training",
        "near b": "3.0076,50.5517,near b,training",
    }
    points = tmp_path / "points.csv"

    def build(name: str, names: list[str], *options: str) -> str:
        points.write_text("\n".join([header, *(rows[each] for each in names)]))
        assert cli.main(["data", "build", str(config), str(tmp_path / name), "--workers", "1", *options]) == 0
        return capsys.readouterr().out

    build("whole", ["a", "b", "c", "near b"])
    build("out", ["a", "b"])
    rows["b"] = rows["b"].replace("validation", "training")  # it keeps the split that it has
    printed = build("out", ["b", "c", "near b"], "--append")
    assert "1 sites left out, which the data set has already" in printed
    assert "1 sites left out, which are too near to a validation site" in printed
    assert [site.name for site in sites(tmp_path / "out")] == ["a", "c", "b"]
    table, whole = (Dataset.open(tmp_path / name).as_table() for name in ("out", "whole"))
    assert {**table, "splits": 0} == {**whole, "splits": 0}
    assert "1 sites left out, which the data set has already" in build("out", ["a"], "--append")

    points.write_text("\n".join([header, rows["a"].replace("3.0014", "3.0018")]))
    refused = error_message(build_dataset, config, tmp_path / "out", 1, append=True)
    assert f"{tmp_path / 'out'} has a site 'a' on another grid" in refused
    config.write_text(config.read_text().replace("unit = ", 'level = "L2A"\nunit = '))
    refused = error_message(build_dataset, config, tmp_path / "out", 1, append=True)
    assert "source sentinel2 has the processing level unknown, and what is added L2A" in refused


def test_a_split_without_training_sites_is_refused(tmp_path):
    config = write_config(tmp_path, write_tiffs(tmp_path / "tiffs"))
    config.write_text(config.read_text().replace("min_distance_m = 0", "min_distance_m = 1280"))
    refused = error_message(build_dataset, config, tmp_path / "out", 1)
    assert "no site is left for training: 3 are within 1280 m of the 1 for validation" in refused


def test_the_command_prints_what_it_wrote(tmp_path, capsys):
    config = write_config(tmp_path, write_tiffs(tmp_path / "tiffs"))
    assert cli.main(["data", "build", str(config), str(tmp_path / "out"), "--workers", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["sentinel2: 16 frames", f"wrote 4 sites to {tmp_path / 'out'}"]
    assert cli.main(["data", "build", "--example"]) == 0
    assert "[[source]]" in capsys.readouterr().out
    assert cli.main(["data", "build", str(config)]) == 2
    assert "give a config and a new folder" in capsys.readouterr().err
