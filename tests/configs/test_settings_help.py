"""The help of the settings is generated from the config's dataclasses and their docstrings."""

from dataclasses import fields

import pytest

from configs.config import Config
from configs.presets import PAPER
from configs.serialization.overrides import field_names, override
from configs.serialization.settings_help import field_docs, settings_help
from configs.source import Band, Metadata, Source

GROUPS = ("model", "objective", "training", "data", "mesh")
LINES = settings_help().splitlines()


@pytest.mark.parametrize("kind", [Config, Source, Band, Metadata, *(type(getattr(PAPER, name)) for name in GROUPS)])
def test_every_field_of_a_config_has_a_docstring(kind):
    docs = field_docs(kind)
    assert list(docs) == [field.name for field in fields(kind)]
    assert all(text.endswith(".") for text in docs.values())


def test_every_setting_is_listed_once_in_the_order_of_the_config():
    listed = [line.split()[0].removeprefix("--") for line in LINES if line.startswith("  --")]
    settings = [name for name in field_names(PAPER) if not name.startswith("sources.")]
    assert listed == [*settings, "sources", "sources.NAME.FIELD"]


def test_the_listed_values_are_the_papers_defaults():
    rows = [line.split()[:2] for line in LINES if line.startswith("  --") and "sources" not in line]
    for name, value in rows:
        assert override(PAPER, [name, "" if value == '""' else value]) == PAPER


def test_settings_are_listed_by_group_with_their_meaning():
    assert [line.partition(":")[0] for line in LINES if line[:1].islower() and ": " in line] == [*GROUPS, "sources"]
    (row,) = (line for line in LINES if line.startswith("  --training.batch "))
    assert row.split(maxsplit=2) == ["--training.batch", "256", "Sequences per step, over all devices."]


def test_lines_fit_into_120_columns():
    assert max(map(len, LINES)) <= 120
