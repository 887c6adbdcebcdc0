"""Files of a run's folder that somebody else wrote: pipes, deep JSON, wrong types."""

import os

import numpy as np
import pytest

from aef_jax.data.store.normalization import Normalization
from aef_jax.run.folder import RunFolder
from aef_jax.run.metrics_record import parse_record
from aef_jax.run.steps import require_whole
from aef_jax.run.warm_start import read_warm_start
from aef_jax.training.metrics import MetricsWriter
from tests.support.hostile_names import HOSTILE_NAMES, assert_harmless
from tests.support.refusals import error_message


def test_a_pipe_in_a_run_is_refused(tmp_path, mistake):
    run = RunFolder(tmp_path)
    for path, read in ((run.config_path, run.read_config), (run.normalization_path, run.read_normalization)):
        os.mkfifo(path)
        assert f"{path} is a folder, a pipe or a device, expected a file" in error_message(read)
    os.mkfifo(run.init_path)
    assert "init.json is a folder, a pipe" in error_message(read_warm_start, run)
    os.mkfifo(run.metrics_path)
    assert "metrics.jsonl is a folder, a pipe" in error_message(MetricsWriter, run.metrics_path, run.tensorboard, 0)
    assert "a pipe or a device" in mistake("config", tmp_path)


STATISTICS = {
    "10,000 brackets": "[" * 10_000,
    "NaN": '{"s": {"mean": [NaN], "deviation": [1]}}',
    "a number without end": '{"s": {"mean": [1e999], "deviation": [1]}}',
    "a huge number": '{"s": {"mean": [1' + 400 * "0" + '], "deviation": [1]}}',
    "text": '{"s": {"mean": ["1"], "deviation": [1]}}',
    "truth": '{"s": {"mean": [true], "deviation": [1]}}',
    "a list in a list": '{"s": {"mean": [[1]], "deviation": [[1]]}}',
    "a source twice": '{"s": {"mean": [1], "deviation": [1]}, "s": {"mean": [2], "deviation": [1]}}',
    "a number alone": '{"s": {"mean": 1, "deviation": 1}}',
}


@pytest.mark.parametrize("what", STATISTICS)
def test_statistics_of_other_types_are_refused(what, tmp_path):
    (tmp_path / "normalization.json").write_text(STATISTICS[what])
    message = error_message(Normalization.load, tmp_path / "normalization.json")
    assert "normalization.json: not the normalization of a run" in message
    assert_harmless(message)


@pytest.mark.parametrize("name", HOSTILE_NAMES.values())
def test_a_source_of_statistics_has_a_printable_name(name):
    numbers = {"mean": [0.5, None], "deviation": [1, None]}
    assert np.isnan(Normalization.from_table({"s": numbers}).mean["s"][1])
    assert_harmless(error_message(Normalization.from_table, {name: numbers}))


LINES = """
[]
7
{"step": "1", "kind": "train"}
{"step": 1.5, "kind": "train"}
{"step": true, "kind": "train"}
{"kind": "train"}
{"step": 1}
{"step": 1, "kind": ["train"]}
{"step": 1, "kind": "train", "a": "b"}
"""


@pytest.mark.parametrize("line", ["", "[" * 10_000, *LINES.strip().split("\n")])
def test_a_line_that_is_no_record_is_dropped(line, tmp_path):
    path = tmp_path / "metrics.jsonl"
    good = '{"step": 1, "kind": "train", "loss": 0.5, "other": null}\n'
    path.write_bytes(
        good.encode() + line.encode() + b"\n\xff\n" + good.replace(": 1,", ": 3,").encode() + good.encode()
    )
    MetricsWriter(path, tmp_path / "tensorboard", 2).close()
    assert path.read_text() == 2 * good
    assert_harmless(error_message(parse_record, line))


def test_a_checkpoint_that_leads_out_of_the_run_is_refused(tmp_path):
    checkpoints, elsewhere = tmp_path / "run" / "checkpoints", tmp_path / "elsewhere"
    for folder in (checkpoints / "3", elsewhere):
        folder.mkdir(parents=True)
    (checkpoints / "5").symlink_to(elsewhere)
    message = error_message(require_whole, checkpoints, 5)
    assert f"5 is a link to {elsewhere}, outside of the folder; the newest whole checkpoint is 3" in message
    require_whole(checkpoints, 3)
