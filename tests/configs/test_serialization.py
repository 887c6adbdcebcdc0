"""A config can be read back from its JSON; other text is refused in one sentence."""

import json
from dataclasses import replace

import pytest

from configs.presets import PRESETS, TINY
from configs.serialization.config_json import from_json, to_json
from configs.source import Band
from tests.support.refusals import error_message


def _edited(edit) -> str:
    tree = json.loads(to_json(TINY))
    edit(tree)
    return json.dumps(tree)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_can_be_read_back_from_json(name):
    assert from_json(to_json(PRESETS[name])) == PRESETS[name]


def test_an_integer_is_converted_to_float():
    config = from_json(_edited(lambda tree: tree["model"].update(kappa=100)))
    assert type(config.model.kappa) is float


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (lambda c: c["model"].update(block=3), "config.model: there is no field 'block'; did you mean num_blocks?"),
        (lambda c: c.update(modle={}), "config: there is no field 'modle'; did you mean model?"),
        (lambda c: c["training"].pop("steps"), "config.training: the field 'steps' is missing"),
        (lambda c: c["training"].update(steps="3"), "config.training.steps is '3', expected a value of type int"),
        (lambda c: c["training"].update(steps=True), "config.training.steps is True, expected a value of type int"),
        (lambda c: c["training"].update(steps=0), "training: steps is 0, expected at least 1"),
        (lambda c: c["model"].update(remat="all"), "config.model.remat is 'all', expected one of none, block, dots"),
        (lambda c: c["model"].update(architecture=True), "config.model.architecture is True, expected one of 1, 2"),
        (lambda c: c["model"].update(kappa=float("inf")), "config.model.kappa is inf, expected a finite number"),
        (lambda c: c["model"].update(kappa=float("nan")), "config.model.kappa is nan, expected a finite number"),
        (lambda c: c["model"].update(kappa=10**400), "config.model.kappa is inf, expected a finite number"),
        (lambda c: c["sources"].append(c["sources"][0]), "sources: a name is there twice"),
        (lambda c: c.update(sources=[c["sources"][-1]]), "sources: none of ['text'] is an input"),
        (lambda c: c.update(sources={}), "config.sources is {}, expected a list"),
        (lambda c: c["sources"][0].update(bands=3), "config.sources[0].bands is 3, expected a list"),
        (
            lambda c: c["sources"][2]["bands"][0].update(valid_range=[1, 2, 3]),
            "config.sources[2].bands[0].valid_range is [1, 2, 3], expected a list of 2",
        ),
        (lambda c: c.update(training=[]), "config.training is [], expected a JSON object"),
    ],
)
def test_invalid_config_error_has_the_field_and_its_value(edit, sentence):
    assert sentence in error_message(from_json, _edited(edit))


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "[" + "9" * 5_000 + "]", "null", "3"])
def test_text_without_a_config_is_refused_in_one_sentence(text):
    assert len(error_message(from_json, text)) < 200


def test_a_long_wrong_value_is_cut_short():
    assert len(error_message(from_json, _edited(lambda tree: tree["model"].update(remat="x" * 10_000)))) < 300


def test_a_missing_valid_range_stays_missing():
    source = replace(TINY.sources[0], bands=(Band("B1", "1"),))
    assert from_json(to_json(replace(TINY, sources=(source,)))).sources[0].bands[0].valid_range is None
