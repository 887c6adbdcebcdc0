"""`aef data`: info, and the refusal of data that cannot be opened or trained on, with exit code 2."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib import image

from aef_jax.cli import main as cli
from aef_jax.data.inspect.info import BIN_EDGES, count_histograms
from aef_jax.data.store.dataset import Dataset
from configs.sources import ERA5_LAND, NLCD, SENTINEL2, SOURCES
from tests.support.data.small_dataset import (
    TRAINING,
    VALIDATION,
    change_description,
    small_sites,
    write,
)

pytestmark = pytest.mark.slow

SITE = small_sites(1)[0]


# --- info ---


def test_info_describes_the_data_set(own_dataset, capsys, tmp_path):
    change_description(own_dataset, lambda table: table["text"].update(model="a model"))
    assert cli.main(["data", "info", str(own_dataset), "-o", str(tmp_path / "values.png")]) == 0
    printed = capsys.readouterr().out
    dataset = Dataset.open(own_dataset)
    lines = [" ".join(line.split()) for line in printed.splitlines()]
    assert f"training {TRAINING} 1" in lines
    assert f"validation {VALIDATION} 1" in lines
    frames = dataset.sources["sentinel2"].frames
    (row,) = (line for line in lines if line.startswith("sentinel2 B2 B3"))
    assert row.startswith(f"sentinel2 B2 B3 B4 B8 B11 - uint16 {frames} 2016-01-0")
    share = dataset.sources["sentinel2"].valid_pixels / dataset.sources["sentinel2"].pixels
    assert row.endswith(f" {share:.1%}")
    mean, deviation = (table["sentinel2"][1] for table in (dataset.normalization.mean, dataset.normalization.deviation))
    assert f"sentinel2 B3 {mean:.5g} {deviation:.5g}" in lines
    assert f"{dataset.text_points} text points: sentence embeddings of 8 numbers, by a model" in lines
    megabytes = sum(file.stat().st_size for file in own_dataset.glob("*.array_record")) / 2**20
    assert f"{own_dataset}: {megabytes:.1f} MiB on disk in 2 shards" in lines
    assert lines[-1] == f"wrote {tmp_path / 'values.png'}"


def test_info_lists_the_label_maps(tmp_path, capsys):
    crops, cover = (np.full((16, 16), number, np.int16) for number in (-1, 3))
    first, second = small_sites(2)
    sites = [
        replace(first, labels={"landcover": cover, "crops": crops}, weight=0.5),
        replace(second, labels={"landcover": cover}),
    ]
    folder = write(tmp_path / "labeled", sites)
    assert cli.main(["data", "info", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "label map crops: in 1 record" in lines
    assert "label map landcover: in 2 records" in lines
    assert "training records have weights from 0.5 to 1" in lines
    change_description(folder, lambda table: table["labels"].pop("crops"))
    assert cli.main(["data", "check", str(folder)]) == 2
    assert "label map crops: records: dataset.json says 0, the records hold 1" in capsys.readouterr().out


def test_picture_is_written_to_the_dataset_folder_by_default(own_dataset, capsys):
    assert cli.main(["data", "info", str(own_dataset)]) == 0
    height, width, _ = image.imread(own_dataset / "info.png").shape
    assert height > 300
    assert width > 1_000
    assert "reading records" in capsys.readouterr().err, "a progress bar"
    assert not list(own_dataset.glob(".*"))
    assert len(Dataset.open(own_dataset).records("training")) == TRAINING


def test_many_bands_empty_bands_and_empty_sources_are_drawn(tmp_path, capsys):
    shape = (3, 16, 16, 12)
    weather = replace(
        SITE.series["landsat"].select_frames(slice(0, 3)),
        pixels=np.random.default_rng(0).normal([1] * 3 + [280] * 6 + [90_000] * 3, 0.1, shape).astype(np.float32),
        valid=np.broadcast_to(np.arange(12) > 0, shape),
    )
    nothing = SITE.series["landsat"].select_frames(slice(0, 0))
    site = replace(SITE, series={**SITE.series, "era5_land": weather, "landsat": nothing})
    path = write(tmp_path / "odd", [site], sources=SOURCES, levels={"landsat": "SR"})
    assert cli.main(["data", "info", str(path)]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "era5_land total_precipitation_sum never seen -" in lines
    assert "landsat 7: B2 ... SR float32 0 - - -" in lines
    assert "landsat - - -" in lines
    assert (path / "info.png").stat().st_size > 10_000
    assert ERA5_LAND.channels == 12


def test_the_picture_is_of_valid_scores(small_dataset):
    dataset = Dataset.open(small_dataset)
    sites = small_sites(TRAINING)
    counts = count_histograms(sites, [SENTINEL2, NLCD], dataset.normalization)
    for band in range(5):
        values = np.concatenate(
            [
                np.log1p(s.series["sentinel2"].pixels[..., band][s.series["sentinel2"].valid[..., 0]].astype(float))
                for s in sites
            ]
        )
        scores = (values - values.mean()) / values.std()
        expected, _ = np.histogram(scores.clip(-6, 6), BIN_EDGES)
        assert np.abs(counts["sentinel2"][band] - expected).sum() < 0.001 * len(values), "rounding at an edge"
    classes = np.concatenate([s.series["nlcd"].pixels[s.series["nlcd"].valid] for s in sites])
    np.testing.assert_array_equal(counts["nlcd"][0], np.bincount(classes, minlength=16))


# --- data that cannot be opened ---


@pytest.mark.parametrize("command", ["info", "check"])
def test_a_folder_without_a_data_set_is_refused(command, tmp_path, mistake):
    assert f"{tmp_path} is not a data set: it has no dataset.json" in mistake("data", command, tmp_path)
    (tmp_path / "dataset.json").write_text("{")
    assert "dataset.json: not the description of a data set" in mistake("data", command, tmp_path)


def test_unwritable_picture_error_is_one_sentence(small_dataset, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert cli.main(["data", "info", str(small_dataset), "-o", str(tmp_path / "file" / "info.png")]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("aef: ")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda table: table.update(version=5), "format version 5, expected one of (1, 2, 3, 4)"),
        (lambda table: table["splits"]["training"][0].update(file="../x"), "is not the name of a file in the folder"),
        (lambda table: table["splits"]["training"][0].update(bytes=70_000), "it was cut short or overwritten"),
        (lambda table: table["smallest"].update(shape=[16, 8]), "site site0 has 16 x 8 pixels, expected at least one"),
        (lambda table: table["splits"].update(training=[]), "it has no training record, expected at least one"),
        (
            lambda table: (
                table["sources"]["sentinel2"].update(bands=["B2", "B3", "B4", "B8"]),
                table["sources"]["sentinel2"].update(values=[], out_of_range=[]),
                table["normalization"]["sentinel2"].update(mean=[0] * 4, deviation=[1] * 4),
                table.update(definitions=[]),
            ),
            "source sentinel2: its bands are ['B2', 'B3', 'B4', 'B8'], expected ['B2', 'B3', 'B4', 'B8', 'B11']",
        ),
    ],
)
def test_untrainable_data_is_refused_before_the_run_begins(own_dataset, tmp_path, mistake, change, sentence):
    change_description(own_dataset, change)
    text = "--model.text_width", "8"
    assert sentence in mistake("train", "tiny", "--data", own_dataset, "--run", tmp_path / "run", *text)
    assert not (tmp_path / "run").exists()


def test_what_a_run_lacks_is_told_before_it_begins(tmp_path, capsys):
    """The run is refused after that, for its mesh, so that nothing is compiled here."""
    path = write(tmp_path / "small", [replace(SITE, series={"sentinel2": SITE.series["sentinel2"]})])
    settings = ["--model.text_width", "8", "--data.tile_side", "16", "--mesh.data", "1000"]
    assert cli.main(["train", "tiny", "--data", str(path), "--run", str(tmp_path / "run"), *settings]) == 2
    *remarks, refusal = capsys.readouterr().err.splitlines()
    assert remarks[0].startswith(f"aef: data set {path}: it has no validation split")
    assert remarks[1].startswith(f"aef: data set {path}: it has no valid training pixel or text of the model's sources")
    assert "1000" in refusal
    assert not (tmp_path / "run").exists()


def test_wrong_text_width_error_names_the_setting(small_dataset, tmp_path, mistake):
    sentence = mistake("train", "tiny", "--data", small_dataset, "--run", tmp_path / "run")
    assert "its sentence embeddings have 8 numbers, the model's text head takes 384" in sentence
    assert sentence.endswith("set --model.text_width 8")


def test_data_without_inputs_or_valid_input_pixels_is_refused(tmp_path, mistake):
    maps = replace(SITE, series={name: SITE.series[name] for name in ("glo30", "nlcd")})
    inputs = "expected some of the inputs ['sentinel2', 'landsat', 'sentinel1']"
    path = write(tmp_path / "maps", [maps])
    assert f"it has valid pixels of ['glo30', 'nlcd'], {inputs}" in mistake("train", "tiny", "--data", path)
    blind = replace(SITE.series["landsat"], valid=np.zeros_like(SITE.series["landsat"].valid))
    path = write(tmp_path / "blind", [replace(maps, series={**maps.series, "landsat": blind})])
    assert f"it has valid pixels of ['glo30', 'nlcd'], {inputs}" in mistake("train", "tiny", "--data", path)


@pytest.mark.parametrize("option", ["--validation", "--heldout"])
def test_make_planet_passes_its_options_on(option, tmp_path, monkeypatch, capsys):
    calls = []
    monkeypatch.setattr("aef_jax.data.synthetic.write.write_planet", lambda *arguments: calls.append(arguments))
    words = ["data", "make-planet", str(tmp_path / "planet"), "--sites", "5", "--side", "32", option, "0.4"]
    assert cli.main([*words, "--seed", "2"]) == 0
    assert calls == [(tmp_path / "planet", 5, 32, 0.4, 2)]
    assert str(tmp_path / "planet" / "points.csv") in capsys.readouterr().out
