"""The Python of the pages does what the pages say."""

import json
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aef_jax.cli.main import main as aef
from aef_jax.data.build.config import read_build_config
from aef_jax.data.loading.training_data import open_data, open_examples
from aef_jax.data.store.dataset import Dataset
from aef_jax.data.store.statistics import normalization_of
from aef_jax.evaluation.labels.georeference import pixel_centers, to_degrees
from aef_jax.inference.field import FieldInfo
from aef_jax.run.folder import RunFolder
from configs.presets import TINY
from configs.serialization.config_json import from_json
from parity.cli import main as parity
from tests.support.converting import SMALLEST
from tests.support.data.fields import save_cog
from tests.support.data.scenes import write_band_files
from tests.support.data.small_site import small_site
from tests.support.data.two_halves import degrees, two_halves, write_geotiff
from tests.support.documents import block
from tests.support.training_run import write_training_run

pytestmark = pytest.mark.usefixtures("quick_compiles")
BRIEF = shlex.split(
    "--training.steps 2 --training.warmup_steps 1 --training.evaluate_every 2 --model.num_blocks 1 --data.tile_side 16"
)


def test_written_records_are_a_training_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(block("records"), {})
    dataset = Dataset.open(tmp_path / "mine")
    assert [len(dataset.records(split)) for split in ("training", "validation")] == [3, 1]
    config = replace(TINY, data=replace(TINY.data, path=str(tmp_path / "mine")))
    example = open_examples(config)[0]
    assert set(example.frames) == {"sentinel2"}
    assert example.frames["sentinel2"].present.all()
    assert np.isfinite(example.targets["sentinel2"].pixels).all()
    assert len(open_data(config).validation["validation"]) == 1


@pytest.mark.slow
def test_files_become_a_training_set(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_band_files(tmp_path)
    (tmp_path / "build.toml").write_text(block("build_config"))
    commands = [shlex.split(line)[1:] for line in block("build").splitlines()]
    assert [aef(words) for words in commands[:3]] == [0, 0, 0]
    assert "mine: nothing wrong" in capsys.readouterr().out
    example = open_examples(replace(TINY, data=replace(TINY.data, path="mine")))[0]
    assert example.frames["sentinel1"].present.sum() == 3, "the fourth may be the target"
    write_labels(Dataset.open(tmp_path / "mine"), tmp_path / "labels.csv")
    evaluating, training = (shlex.split(line, comments=True)[1:] for line in block("evaluate").splitlines())
    assert commands[3] == training[:-2]
    assert aef([*training, *BRIEF]) == 0
    assert (tmp_path / "runs" / "tiny" / "checkpoints" / "2").exists()
    assert aef(commands[4]) == 0
    embed_ground(tmp_path)
    capsys.readouterr()
    assert aef(evaluating) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if "+-" in line]
    assert {row[0] for row in rows} == {"tiny", "composite", "coordinates"}
    assert (tmp_path / "evaluation" / "report.html").exists()
    # training logs the numbers of the command
    logged = [json.loads(line) for line in (tmp_path / "runs" / "tiny" / "metrics.jsonl").read_text().splitlines()]
    (labels,) = [record for record in logged if record["kind"] == "labels"]
    results = json.loads((tmp_path / "evaluation" / "results.json").read_text())["results"]
    for result in results:
        if (result["features"], result["trial"]) == ("tiny", "max"):
            assert result["folds"] == 2, "the classes are equal"
            for name, metric in result["metrics"].items():
                assert labels[f"{result['evaluator']}/{name}"] == pytest.approx(metric["mean"])


def embed_ground(folder: Path) -> None:
    """Run the page's commands of `aef embed` on an area that the files show."""
    corners = [[3.001, 50.546], [3.008, 50.546], [3.008, 50.55], [3.001, 50.546]]
    area = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [corners]}}
    (folder / "area.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [area]}))
    assert [aef(shlex.split(line)[1:]) for line in block("embed").splitlines()] == [0, 0, 0]
    assert {path.name for path in folder.glob("*.tif")} == {"field.tif", "site.tif"}
    assert len(list(folder.glob("fields/*.tif"))) == 2
    assert (folder / "fields.zarr").is_dir()
    assert (folder / "fields.json").is_file()


def write_labels(dataset: Dataset, path: Path) -> None:
    """Write 80 points of two classes in the validation site."""
    (site,) = dataset.records("validation")
    row, column = np.random.default_rng(0).integers(32, size=(2, 80))
    lon, lat = to_degrees(*pixel_centers(row, column, site.transform), site.crs, "here")
    rows = [f"{x},{y},{n % 2}" for n, (x, y) in enumerate(zip(lon, lat, strict=True))]
    path.write_text("\n".join(["lon,lat,label", *rows]))


@pytest.mark.slow
def test_points_values_and_change_are_evaluated(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    transform = (10.0, 0.0, 500_000.0, 0.0, -10.0, 5_600_000.0)
    for year in ("2019", "2021"):
        vectors = generator.standard_normal((20, 20, 8)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
        save_cog(tmp_path / f"{year}.tif", vectors, FieldInfo("EPSG:32631", transform, (20, 20), 8))
    row, column = generator.integers(20, size=(2, 40))
    lon, lat = to_degrees(*pixel_centers(row, column, transform), "EPSG:32631", "here")
    for name, title, values in (("biomass", "tons", generator.random(40)), ("change", "label", np.arange(40) % 2)):
        lines = [f"{x},{y},{value}" for x, y, value in zip(lon, lat, values, strict=True)]
        (tmp_path / f"{name}.csv").write_text("\n".join([f"lon,lat,{title}", *lines]))
    codes = generator.integers(-127, 128, (40, 2, 64)).astype(np.int8)
    far = {"lon": generator.uniform(3, 4, 40), "lat": generator.uniform(50, 51, 40)}
    np.savez(tmp_path / "points.npz", vectors=codes, label=np.arange(40) % 2, **far)
    for line in block("evaluate_more").splitlines():
        assert aef([*shlex.split(line, comments=True)[1:], "--max-folds", "10"]) == 0
    assert capsys.readouterr().out.count(" linear ") == 3 + 2 + 3


def test_a_catalog_is_an_entry_of_a_config(tmp_path):
    entry = f'[[source]]\nname = "sentinel2"\n{block("build_stac")}'
    (tmp_path / "build.toml").write_text(f"{block('build_config').partition('[[source]]')[0]}{entry}")
    (files,) = read_build_config(tmp_path / "build.toml").source
    assert files.stac.startswith("https://")
    assert files.query == {"eo:cloud_cover": {"lt": 60}}


@pytest.mark.slow
def test_a_sensor_of_ones_own_is_a_row(tmp_path, monkeypatch, capsys):
    """Row 19 of the users' cases: info and check did not know the source."""
    monkeypatch.chdir(tmp_path)
    exec(block("own_sensor"), {})
    config = from_json((tmp_path / "warm.json").read_text())
    example = open_examples(config)[0]
    assert example.frames["thermal"].pixels.shape == (8, 16, 16, 1)
    assert example.targets["thermal"].valid.any()
    assert len(open_data(config).validation["validation"]) == 1
    assert aef(["data", "info", "warm"]) == aef(["data", "check", "warm"]) == 0
    printed = capsys.readouterr().out
    assert "thermal  temperature  -      float32" in printed
    assert "warm: nothing wrong" in printed
    assert (tmp_path / "warm" / "info.png").stat().st_size > 10_000


@pytest.mark.slow
def test_both_frameworks_embed_your_arrays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = write_training_run(tmp_path / "runs" / "tiny", scale=0.3)
    normalization_of([small_site()], SMALLEST.input_sources).save(RunFolder(run).normalization_path)
    assert parity(["convert", "runs/tiny", "tiny.safetensors"]) == 0
    names = {}
    exec(block("arrays") + block("arrays_torch"), names)
    assert names["field"].shape == (96, 96, 64)
    np.testing.assert_allclose(np.linalg.norm(names["field"], axis=-1), 1, atol=1e-5)


def test_the_embedding_snippets_have_ten_lines():
    code = [line for name in ("arrays", "arrays_torch") for line in block(name).splitlines() if line]
    assert len(code) <= 11


@pytest.mark.slow
def test_training_from_python_gives_an_embedder(tmp_path, monkeypatch):
    pytest.importorskip("nrt", reason="the sample cube is not installed: pip install aef[sample]")
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(block("train_from_python"), names)
    assert names["embedder"].inputs["sentinel2"]["B2"] == "reflectance * 10000"
    assert (tmp_path / "runs" / "python" / "metrics.jsonl").exists()


@pytest.mark.slow
def test_tools_for_fields_write_maps_and_pictures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    field = two_halves(width=40)
    field = field._replace(
        info=field.info._replace(embed_dim=20), vectors=np.pad(field.vectors, [(0, 0), (0, 0), (0, 12)], mode="edge")
    )
    for name in ("field", *range(2018, 2024)):
        write_geotiff(tmp_path / f"{name}.tif", field)
    points = [(*degrees(row, column), name) for row, column, name in ((1, 2, "a"), (5, 5, "a"), (8, 35, "b"))]
    table = "".join(f"{lon},{lat},{name}\n" for lon, lat, name in points)
    for name in ("labels.csv", "examples.csv"):
        (tmp_path / name).write_text(f"lon,lat,crop\n{table}")
    lines = [shlex.split(line, comments=True) for line in block("field_tools").splitlines()]
    assert [aef(words[1:]) for words in lines] == [0] * 7
    written = {words[-1] for words in lines}
    assert {path.name for path in tmp_path.iterdir() if path.with_suffix(".png").exists()} == {
        *written,
        *(name.replace(".tif", ".png") for name in written),
    }
