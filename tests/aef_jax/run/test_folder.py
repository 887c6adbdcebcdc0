"""A run is continued only under a config that computes the same; a refusal names the settings that differ (row 7)."""

import json
from dataclasses import replace

import numpy as np
import pytest

from aef_jax.data.store.normalization import Normalization
from aef_jax.run.folder import RunFolder
from aef_jax.run.format import run_item, score_of, upgrade_kind, upgrade_scores, version_of
from configs.config import Config
from configs.mesh import MeshConfig
from configs.serialization.changeable import OPERATIONAL, SCHEDULE
from configs.serialization.overrides import field_names
from configs.sources import SENTINEL1
from tests.aef_jax.conftest import BRIEF
from tests.support.refusals import error_message

STATISTICS = Normalization({"sentinel2": np.ones(5)}, {"sentinel2": np.ones(5)})


@pytest.fixture
def run(tmp_path) -> RunFolder:
    run = RunFolder(tmp_path / "run")
    run.start(BRIEF, STATISTICS)
    return run


def changed(**training) -> Config:
    return replace(BRIEF, training=replace(BRIEF.training, **training))


def test_settings_that_differ_are_named_with_both_values(run):
    refused = error_message(run.require_same_run, changed(seed=1, clip_norm=0.5))
    assert refused == (
        f"{run.path} holds a run with another config: training.clip_norm is 1.0 in the folder and 0.5 here,"
        " training.seed is 0 in the folder and 1 here; give a new folder with --run"
    )


def test_many_differing_settings_are_counted(run):
    many = changed(seed=1, batch=4, clip_norm=2.0, weight_decay=0.1, grad_accum_steps=2, validation_sites=3)
    assert "here, and 1 more differ; give a new folder" in error_message(run.require_same_run, many)


COURSE = {"steps": 32, "learning_rate": 0.5, "warmup_steps": 3}


def test_a_run_may_be_extended_and_the_change_is_recorded(run):
    """Case 7: settings of the schedule change by a command that names the run, operational ones by any."""
    operational = {"checkpoint_every": 4, "keep_last": 1, "keep_every": 8, "evaluate_every": 4}
    run.require_same_run(changed(**operational), schedule_may_change=False)
    config = changed(**COURSE, **operational)
    run.require_same_run(config)
    changes = run.start(config, STATISTICS, done=12)
    assert "training.steps is 32 from step 12 on, was 16" in changes
    assert run.read_config() == config
    records = [json.loads(line) for line in run.changes_path.read_text().splitlines()]
    assert {record["name"].partition(".")[2]: record["after"] for record in records} == COURSE | operational
    assert {record["step"] for record in records} == {12}
    assert run.start(config, STATISTICS, done=12) == []
    assert len(run.changes_path.read_text().splitlines()) == len(records)


@pytest.mark.parametrize("name", COURSE)
def test_a_schedule_changes_only_by_a_command_that_names_the_run(run, name):
    refused = error_message(run.require_same_run, changed(**{name: COURSE[name]}), schedule_may_change=False)
    assert f"training.{name} is " in refused
    assert refused.endswith(f"with --run; aef train {run.path} --SETTING VALUE changes the schedule")


def test_a_run_cannot_end_before_the_steps_that_are_done(run):
    refused = error_message(run.start, changed(steps=11), STATISTICS, done=12)
    assert refused == f"{run.path} has done 12 steps, and training.steps is 11"
    assert run.read_config() == BRIEF


def test_every_changeable_setting_exists():
    for name in OPERATIONAL | SCHEDULE:
        assert name in field_names(BRIEF)


def test_differing_sources_are_named(run):
    other = replace(BRIEF, sources=(*BRIEF.sources, SENTINEL1))
    refused = error_message(run.require_same_run, other)
    assert "sources is ['sentinel2'] in the folder and ['sentinel2', 'sentinel1'] here" in refused
    other = replace(BRIEF, sources=(replace(BRIEF.sources[0], frame_budget=5),))
    assert "sources.sentinel2.frame_budget is 4 in the folder and 5 here" in error_message(run.require_same_run, other)


def test_devices_and_the_place_of_the_data_may_differ(run):
    elsewhere = replace(BRIEF, mesh=MeshConfig(seq=2), data=replace(BRIEF.data, path="/elsewhere"))
    run.require_same_run(elsewhere)
    assert RunFolder(run.path / "new").require_same_run(BRIEF) is None


def test_statistics_of_version_1_are_read_from_their_file(run):
    assert run.normalization_path.name == "normalization.json"
    run.normalization_path.rename(run.path / "normalisation.json")
    assert run.read_normalization().as_table() == STATISTICS.as_table()


def test_versions_of_the_format_are_told_apart():
    assert version_of({}) == 1
    assert version_of(run_item({}, None, {})) == 2
    for unknown in (3, "2", None, True):
        assert "expected at most 2" in error_message(version_of, {"version": unknown})


def test_old_names_of_scores_and_kinds_are_read():
    assert score_of({"heldout": 0.5}) == score_of({"validation": 0.5}) == 0.5
    assert upgrade_scores({"heldout": 0.5}) == {"validation": 0.5}
    kinds = ["train", "speed", "heldout", "heldout_dates"]
    assert [upgrade_kind(kind) for kind in kinds] == ["train", "speed", "validation", "validation_dates"]
