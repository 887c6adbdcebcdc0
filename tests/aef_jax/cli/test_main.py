"""The command `aef`: its help, its configs, and mistakes, which it reports in one sentence."""

import importlib.util
import json
import re
import shlex
import sys
from dataclasses import replace

import numpy as np
import pytest

from aef_jax.cli import main as cli
from aef_jax.cli.arguments import split_settings
from configs.presets import PRESETS, TINY
from configs.serialization.config_json import from_json, to_json
from configs.serialization.settings_help import settings_help
from tests.aef_jax.conftest import BRIEF, STEPS

pytestmark = pytest.mark.usefixtures("quick_compiles")

COMMANDS = (
    *("train", "embed", "evaluate", "config", "shardings", "compile"),
    *(f"data {name}" for name in ("make-planet", "add-text", "info", "check", "show")),
)
PERIOD = ["--period", "2020-09-03", "2021-01-01"]


def help_of(command: str, capsys) -> str:
    with pytest.raises(SystemExit) as ended:
        cli.main([*command.split(), "--help"])
    assert ended.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_examples_of_that_very_command(command, capsys):
    examples = help_of(command, capsys).partition("examples:\n")[2].partition("\n\n")[0].splitlines()
    assert examples
    assert all(line.startswith(f"  aef {command} ") for line in examples)


def test_the_help_of_aef_lists_all_commands_and_examples(capsys):
    text = help_of("", capsys)
    assert all(f"\n    {command.split()[0]}" in text for command in COMMANDS)
    assert "aef train tiny" in text.partition("examples:")[2]


def test_help_of_train_explains_the_settings_by_group(capsys):
    assert settings_help() in help_of("train", capsys)


def test_every_example_can_be_parsed():
    parser = cli._parser()
    for command in COMMANDS:
        examples = subparser(parser, command).epilog.partition("\n\n")[0].splitlines()[1:]
        for line in examples:
            words, _ = split_settings(shlex.split(re.split(r"\s{2,}|\s>\s", line.strip())[0])[1:])
            assert parser.parse_args(words).function


def subparser(parser, command: str):
    for name in command.split():
        (action,) = (action for action in parser._actions if action.choices and action.dest.endswith("command"))
        parser = action.choices[name]
    return parser


def test_a_missing_command_prints_the_usage(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([])
    assert ended.value.code == 2
    assert "usage: aef" in capsys.readouterr().err


@pytest.mark.parametrize("name", PRESETS)
def test_config_with_sources_prints_a_preset_that_can_be_read(name, capsys):
    for words in ([name, "--sources"], ["--sources", name]):
        assert cli.main(["config", *words]) == 0
        printed = capsys.readouterr()
        assert from_json(printed.out) == PRESETS[name]
        assert not printed.err


def test_what_config_prints_with_sources_can_be_trained(tmp_path, capsys, monkeypatch):
    assert cli.main(["config", "tiny", "--sources", "--training.seed", "3"]) == 0
    (tmp_path / "my.json").write_text(capsys.readouterr().out)
    trained = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("aef_jax.data.loading.training_data.open_data", lambda *_: None)
    monkeypatch.setattr(
        "aef_jax.training.loop.train", lambda config, *_: trained.append(config) or config.training.steps
    )
    assert cli.main(["train", "my.json"]) == 0
    assert trained == [replace(TINY, training=replace(TINY.training, seed=3))]


def test_config_prints_settings_first_and_a_line_for_each_source(capsys):
    assert cli.main(["config", "tiny"]) == 0
    printed = capsys.readouterr()
    tree, whole = json.loads(printed.out), json.loads(to_json(TINY))
    assert list(tree) == list(whole) == ["version", "model", "objective", "training", "data", "mesh", "sources"]
    assert {name: tree[name] for name in tree if name != "sources"} == {n: whole[n] for n in whole if n != "sources"}
    assert list(tree["sources"]) == [source.name for source in TINY.sources]
    assert tree["sources"]["sentinel2"] == "continuous, 5 bands, input with up to 16 frames, weight 1"
    assert len(printed.out.splitlines()) < 80
    assert "--sources prints the whole config" in printed.err


def test_a_config_with_summarized_sources_is_refused(tmp_path, capsys, mistake):
    cli.main(["config", "tiny"])
    (tmp_path / "short.json").write_text(capsys.readouterr().out)
    sentence = mistake("train", tmp_path / "short.json")
    assert sentence.endswith(
        "config.sources are summaries, expected whole sources, as aef config PRESET --sources prints"
    )


@pytest.mark.parametrize("words", [["tiny", "--sources", "nlcd,sentinel2"], ["--sources=nlcd,sentinel2", "tiny"]])
def test_config_with_names_of_sources_selects_and_prints_them(words, capsys):
    assert cli.main(["config", *words]) == 0
    assert [source.name for source in from_json(capsys.readouterr().out).sources] == ["sentinel2", "nlcd"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["config", "tiny", "--training.steps", "900"],
        ["config", "tiny", "--training.steps=900"],
        ["config", "--training.steps", "900", "tiny"],
        ["--training.steps", "900", "config", "tiny"],
    ],
)
def test_settings_may_stand_anywhere(arguments, capsys):
    assert cli.main([*arguments, "--sources"]) == 0
    assert from_json(capsys.readouterr().out).training.steps == 900


def test_config_file_and_run_folder_may_share_a_preset_name(tmp_path, capsys):
    config_file = tmp_path / "config.json"
    config_file.write_text(to_json(BRIEF))
    for what in (config_file, tmp_path):
        assert cli.main(["config", str(what), "--sources"]) == 0
        assert from_json(capsys.readouterr().out) == BRIEF


@pytest.mark.parametrize("command", ["train", "config"])
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["tinny"], "'tinny' is no preset, config file or run's folder; did you mean tiny?"),
        (["runs/none"], "'runs/none' is no preset, config file or run's folder"),
        (["tiny", "--training.stepz", "3"], "there is no setting 'training.stepz'; did you mean training.steps?"),
        (["tiny", "--steps", "3"], "there is no setting 'steps'; did you mean training.steps?"),
        (["tiny", "--training.steps", "many"], "training.steps is 'many', expected a value of type int"),
        (["tiny", "--training.steps"], "--training.steps has no value"),
        (["tiny", "--data.tile_side", "40"], "data: tile_side is 40, expected a positive multiple of 16"),
        (["tiny", "small"], "'small' is no option"),
    ],
)
def test_an_unknown_config_or_setting_is_refused(command, arguments, sentence, mistake):
    assert sentence in mistake(command, *arguments)


def test_error_names_the_file_or_folder_without_a_config(tmp_path, mistake):
    (tmp_path / "broken.json").write_text('{"sources": 3')
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    assert "broken.json: config: its JSON cannot be read" in mistake("config", str(tmp_path / "broken.json"))
    assert "binary.json: " in mistake("config", str(tmp_path / "binary.json"))
    assert f"{tmp_path} is not the folder of a run" in mistake("train", str(tmp_path))


def test_a_run_folder_cannot_be_a_file(tmp_path, mistake):
    (tmp_path / "file").write_text("")
    assert "file is a file, expected the folder of a run" in mistake("train", "tiny", "--run", str(tmp_path / "file"))


@pytest.mark.parametrize(
    "command",
    [
        "train tiny --run",
        "train tiny --data",
        "train tiny --data.path",
        "data make-planet",
    ],
)
def test_an_address_is_refused_as_a_folder(command, mistake, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sentence = mistake(*command.split(), "gs://bucket/x")
    assert "'gs://bucket/x' is an address, expected a file or folder: mount it first (gcsfuse, Filestore)" in sentence
    assert not list(tmp_path.iterdir())


def test_one_of_several_slurm_tasks_does_not_start_its_own_run(tmp_path, mistake, monkeypatch):
    step = {"SLURM_PROCID": "0", "SLURM_NTASKS": "4", "SLURM_STEP_NUM_TASKS": "4"}
    for name, value in step.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("aef_jax.data.loading.training_data.open_data", lambda *_: pytest.fail("began"))
    sentence = mistake("train", "tiny", "--run", str(tmp_path / "run"))
    assert "this is one of 4 tasks of SLURM: pass --distributed" in sentence
    monkeypatch.delenv("SLURM_STEP_NUM_TASKS")  # a batch script, which has SLURM_NTASKS too, runs once
    with pytest.raises(pytest.fail.Exception, match="began"):
        cli.main(["train", "tiny", "--run", str(tmp_path / "run")])


def test_missing_sample_package_error_names_the_extra(tmp_path, mistake, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "nrt" else find(name, *rest))
    assert "install aef[sample]" in mistake("train", "tiny", "--run", str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--period", "2018", "2019-01-01"], "times are ['2018', '2019-01-01'], expected datetime64, or dates in ISO"),
        (["--period", "yesterday", "2019-01-01"], "times are ['yesterday', '2019-01-01'], expected datetime64, or"),
        (["--period", "June"], "the valid period is June, expected a year, or START and END"),
        (["--period", "1", "2", "3"], "the valid period is 1 2 3, expected a year, or START and END"),
        (["--period", "2019-01-01", "2018-01-01"], "the valid period 2019-01-01..2018-01-01 is empty"),
        ([*PERIOD, *PERIOD], "a period is given twice, expected each once"),
        ([*PERIOD, "--support", "2019-01-01", "2018-01-01"], "the support period 2019-01-01..2018-01-01 is empty"),
        ([*PERIOD, "--period", "2018"], "field.tif is for one field, and there are 2: expected a folder"),
        ([*PERIOD, "--bogus", "3"], "there is no option '--bogus'; aef embed --help lists them"),
        ([*PERIOD, "--model.kappa", "3"], "there is no option '--model.kappa'"),
        (PERIOD, "is not the folder of a run: it has no config.json"),
    ],
)
def test_impossible_embedding_is_refused_before_any_work(arguments, sentence, tmp_path, mistake):
    output = tmp_path / "field.tif"
    assert sentence in mistake("embed", str(tmp_path / "none"), *arguments, "-o", str(output))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_picture_or_folder_is_refused_as_a_geotiff(training, tmp_path, mistake):
    folder = tmp_path / "folder.tif"
    folder.mkdir()
    for output in (tmp_path / "field.png", folder):
        assert f"{output} is" in mistake("embed", str(training.run.path), *PERIOD, "-o", str(output))


@pytest.mark.slow
def test_missing_rasterio_error_names_the_extra_at_once(training, tmp_path, mistake, monkeypatch):
    monkeypatch.setitem(sys.modules, "rasterio", None)
    monkeypatch.setattr("aef_jax.inference.request.open_weights", lambda *_: pytest.fail("worked in vain"))
    output = tmp_path / "field.tif"
    assert "pip install 'aef[geo]'" in mistake("embed", str(training.run.path), *PERIOD, "-o", str(output))


@pytest.mark.slow
def test_period_without_frames_error_lists_the_available_years(training, tmp_path, mistake):
    arguments = ["--period", "1999", "-o", str(tmp_path / "field.tif")]
    sentence = mistake("embed", str(training.run.path), *arguments)
    assert "no frame of the input sources ['sentinel2'] in the support period 1999-01-01..2000-01-01" in sentence
    assert "2015-08-01..2021-01-01" in sentence


@pytest.mark.slow
def test_embed_writes_64_georeferenced_bands_and_a_picture(training, tmp_path, capsys):
    rasterio = pytest.importorskip("rasterio", reason="reads the GeoTIFF")
    output = tmp_path / "new" / "field.tif"
    assert cli.main(["embed", str(training.run.path), *PERIOD, "-o", str(output)]) == 0
    assert f"wrote {output}\n" in capsys.readouterr().out
    assert output.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    with rasterio.open(output) as field:
        assert (field.count, field.height, field.width, field.dtypes[0]) == (64, 100, 100, "int8")
        assert field.crs.to_epsg() == 3035
        assert field.res == (10, 10)
        assert field.descriptions[0] == "A00"
        assert field.tags()["AEF_VALID_START"] == "2020-09-03T00:00:00.000Z"
        assert field.tags()["AEF_MODEL"].startswith(f"run, step {STEPS}, site ")
        stored = field.read().astype(np.float64)
    vectors = np.sign(stored) * (np.abs(stored) / 127.5) ** 2
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=0), 1, atol=0.02)


def test_ctrl_c_before_training_prints_no_traceback(monkeypatch, tmp_path, capsys):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr("aef_jax.data.loading.training_data.load_sample", interrupted)
    assert cli.main(["train", "tiny", "--run", str(tmp_path / "run")]) == 130
    assert capsys.readouterr().err == "aef: interrupted\n"


def test_the_tiny_preset_fits_the_sample():
    assert "sentinel2" in {source.name for source in TINY.input_sources}
    assert TINY.data.tile_side <= 32, "held-out ground is 32 columns wide"
