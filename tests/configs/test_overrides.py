"""Any field of a config can be set by its dotted name; mistakes are reported in one sentence."""

import pytest

from configs.presets import PAPER, TINY
from configs.serialization.overrides import field_names, override
from tests.support.refusals import error_message


def _source(config, name):
    return next(source for source in config.sources if source.name == name)


def test_nested_and_source_fields_are_set_and_no_others():
    config = override(
        TINY, ["--training.steps", "200", "--model.kappa=50", "--sources.landsat.weight", "0.5", "--mesh.data", "-1"]
    )
    assert (config.training.steps, config.model.kappa, _source(config, "landsat").weight) == (200, 50.0, 0.5)
    assert [source.name for source in config.sources] == [source.name for source in TINY.sources]
    assert override(config, ["--training.steps", str(TINY.training.steps), "--model.kappa", str(TINY.model.kappa)]) == (
        override(TINY, ["--sources.landsat.weight=0.5"])
    )


def test_interdependent_settings_are_applied_together():
    config = override(TINY, ["--training.warmup_steps", "3000", "--training.steps", "4000"])
    assert (config.training.warmup_steps, config.training.steps) == (3000, 4000)


def test_last_value_wins_and_dashes_are_underscores():
    assert override(TINY, ["--training.warmup-steps", "7", "--training.warmup-steps", "8"]).training.warmup_steps == 8


@pytest.mark.parametrize(("text", "value"), [("true", True), ("False", False)])
def test_booleans_may_be_written_as_in_json_or_python(text, value):
    assert _source(override(TINY, ["--sources.glo30.timed", text]), "glo30").timed is value


def test_every_listed_name_can_be_set_to_the_value_it_has():
    names = field_names(PAPER)
    assert len(names) == len(set(names))
    numbers = [name for name in names if name.endswith((".weight", ".steps", ".kappa", ".tile_side"))]
    for name in numbers:
        node = PAPER
        for part in name.split("."):
            node = _source(PAPER, part) if isinstance(node, tuple) else getattr(node, part)
        assert override(PAPER, [f"--{name}", str(node)]) == PAPER


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--training.stepz", "3"], "no setting 'training.stepz'; did you mean training.steps?"),
        (["--steps", "3"], "no setting 'steps'; did you mean training.steps?"),
        (["--sources.sentinel9.weight", "3"], "did you mean sources.sentinel2.weight?"),
        (["--training", "3"], "no setting 'training'"),
        (["--sources", "sentinel2,sentinel9"], "no source 'sentinel9'; did you mean sentinel2?"),
        (["--sources", "nlcd"], "none of ['nlcd'] is an input"),
        (["--training.steps.more", "3"], "no setting 'training.steps.more'"),
        (["--qqq", "3"], "no setting 'qqq'; expected one of model.architecture, model.d_precision"),
        (["--training.steps"], "--training.steps has no value"),
        (["training.steps", "3"], "'training.steps' is no option"),
        (["--training.steps", "many"], "training.steps is 'many', expected a value of type int"),
        (["--training.steps", "2.5"], "training.steps is 2.5, expected a value of type int"),
        (["--training.steps", "-5"], "training: steps is -5, expected at least 1"),
        (["--training.learning_rate", "NaN"], "training.learning_rate is nan, expected a finite number"),
        (["--training.learning_rate", "Infinity"], "training.learning_rate is inf, expected a finite number"),
        (["--training.learning_rate", "1" + "0" * 400], "training.learning_rate is inf, expected a finite number"),
        (["--training.steps", "1" * 5000], "training.steps is '111"),
        (["--sources.sentinel2.weight", "[" * 100_000], "sources.sentinel2.weight is '[[["),
        (["--sources.text.name", "items"], "name is 'items', expected an identifier"),
    ],
)
def test_wrong_setting_error_has_the_nearest_name_or_the_bound(arguments, sentence):
    assert sentence in error_message(override, TINY, arguments)


def test_source_table_rows_can_be_selected_and_changed():
    config = override(TINY, ["--sources", "nlcd,sentinel2", "--sources.nlcd.weight", "2"])
    assert [(source.name, source.weight) for source in config.sources] == [("sentinel2", 1), ("nlcd", 2)]
    assert config.sources[0] == TINY.sources[0]
