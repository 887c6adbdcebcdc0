"""Processes that describe a run in other words are named with the first difference."""

import json
from dataclasses import asdict, replace

import pytest

from aef_jax.sharding.agreement import first_difference
from configs.config import Config
from configs.presets import DEBUG


def _described(config: Config) -> dict:
    return json.loads(json.dumps(asdict(config)))


def _with(section: str, **changes) -> Config:
    return replace(DEBUG, **{section: replace(getattr(DEBUG, section), **changes)})


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (_with("training", learning_rate=0.5), "training.learning_rate 0.5 and process 0 with 0.01"),
        (_with("mesh", fsdp=2), "mesh.fsdp 2 and process 0 with 1"),
        (replace(DEBUG, sources=DEBUG.sources[:1]), "sources ['sentinel2'] and process 0 with ['sentinel2', 'landsat'"),
        (
            replace(DEBUG, sources=(DEBUG.sources[0], replace(DEBUG.sources[1], frame_budget=7), *DEBUG.sources[2:])),
            "sources.landsat.frame_budget 7 and process 0 with 3",
        ),
    ],
)
def test_the_process_with_another_setting_is_named(other, expected):
    described_by = [_described(config) for config in (DEBUG, DEBUG, other)]
    assert first_difference(described_by).startswith(f"process 2 was started with {expected}")


def test_equal_descriptions_do_not_differ():
    assert first_difference([_described(DEBUG)] * 3) == ""
