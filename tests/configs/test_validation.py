"""Configs with invalid values raise errors when they are made."""

from dataclasses import replace

import pytest

from configs.config import Config
from configs.data import DataConfig
from configs.mesh import MeshConfig
from configs.model import ModelConfig
from configs.objective import ObjectiveConfig
from configs.source import Band, Source
from configs.sources import NLCD, SENTINEL2, TEXT
from configs.training import TrainingConfig
from tests.support.refusals import error_message


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: ModelConfig(num_blocks=0), "model: num_blocks is 0"),
        (lambda: ModelConfig(d_time=100), "model: d_time is 100, expected a positive multiple of 8"),
        (lambda: ModelConfig(d_space=72, heads_space=4), "d_space is 72, expected a positive multiple of 16"),
        (lambda: ModelConfig(heads_summary=0), "heads_summary is 0"),
        (lambda: ModelConfig(embed_dim=2), "embed_dim is 2, expected at least 3"),
        (lambda: ModelConfig(kappa=0), "kappa is 0, expected more than 0"),
        (lambda: ModelConfig(compute_dtype="float16"), "compute_dtype is 'float16'"),
        (lambda: DataConfig(tile_side=40), "tile_side is 40, expected a positive multiple of 16"),
        (lambda: DataConfig(min_period_days=4), "min_period_days is 4, expected at least 5"),
        (lambda: DataConfig(support_days=9), "support_days is 9, expected at least 10"),
        (lambda: DataConfig(min_target_fraction=1.1), "min_target_fraction is 1.1, expected between 0 and 1"),
        (lambda: DataConfig(threads=0), "threads is 0"),
        (lambda: DataConfig(workers=-1), "workers is -1, expected at least 0"),
        (lambda: TrainingConfig(steps=5, warmup_steps=5), "warmup_steps is 5, expected fewer than steps (5)"),
        (lambda: TrainingConfig(learning_rate=0.0), "learning_rate is 0.0, expected more than 0"),
        (lambda: TrainingConfig(weight_decay=-0.1), "weight_decay is -0.1, expected at least 0"),
        (lambda: TrainingConfig(seed=2**32), "seed is 4294967296, expected less than 2**32"),
        (lambda: TrainingConfig(batch=0), "batch is 0"),
        (lambda: ObjectiveConfig(uniformity=-1), "uniformity is -1"),
        (lambda: ObjectiveConfig(text=float("nan")), "text is nan, expected at least 0"),
        (lambda: ObjectiveConfig(temperature=0), "temperature is 0, expected more than 0"),
        (lambda: ObjectiveConfig(0, 0, 0, 0), "'text': 0}, expected one of them above 0"),
        (
            lambda: Config(sources=(replace(SENTINEL2, weight=0), TEXT)),
            "['sentinel2', 'text'] is 0, expected one above",
        ),
        (lambda: Config((SENTINEL2,), objective=ObjectiveConfig(0, 0, 0, 1)), "text alone has a weight, but none of"),
        (lambda: MeshConfig(data=0), "mesh: data is 0"),
        (lambda: MeshConfig(fsdp=0), "mesh: fsdp is 0"),
        (lambda: Band("B1", "1", valid_range=(1.0, 1.0)), "band B1: valid_range is (1.0, 1.0)"),
        (lambda: replace(SENTINEL2, frame_budget=0), "source sentinel2: frame_budget is 0, expected at least 1"),
        (lambda: replace(SENTINEL2, frame_drop=1.5), "frame_drop is 1.5, expected between 0 and 1"),
        (lambda: TrainingConfig(batch=6, grad_accum_steps=4), "batch is 6, expected a positive multiple of 4"),
        (lambda: TrainingConfig(checkpoint_every=10, keep_every=15), "keep_every is 15, expected a positive multiple"),
        (lambda: replace(SENTINEL2, frame_drop=1), "frame_drop is 1, expected less than 1"),
        (lambda: replace(SENTINEL2, weight=float("nan")), "weight is nan"),
        (lambda: replace(SENTINEL2, regrid_m=30), "shift_invariant_m is 20 and regrid_m is 30, expected one of them"),
        (lambda: replace(NLCD, regrid_m=25), "regrid_m is 25, expected a multiple of 10"),
        (lambda: replace(SENTINEL2, shift_invariant_m=15), "shift_invariant_m is 15, expected a multiple of 10"),
        (lambda: replace(NLCD, classes=0), "kind 'classes' cannot have classes=0"),
        (lambda: replace(SENTINEL2, classes=3), "kind 'continuous' cannot have classes=3"),
        (lambda: replace(NLCD, is_input=True, frame_budget=1), "kind 'classes' cannot be an input"),
        (lambda: replace(TEXT, bands=SENTINEL2.bands), "kind 'text' has 5 bands"),
        (lambda: Source("empty", "continuous", bands=()), "kind 'continuous' has 0 bands"),
    ],
)
def test_out_of_range_error_has_the_field_value_and_bound(make, sentence):
    assert sentence in error_message(make)


@pytest.mark.parametrize("name", ["", "a.b", "a b", "2s", "class", "items", "pop", "a/b"])
def test_source_name_must_be_an_identifier(name):
    with pytest.raises(ValueError, match="source: name is"):
        replace(SENTINEL2, name=name)


def test_source_weight_may_be_zero_without_reconstruction():
    weightless = replace(SENTINEL2, weight=0)
    assert "weight" in error_message(lambda: Config(sources=(weightless,)))
    assert Config(sources=(weightless,), objective=ObjectiveConfig(reconstruction=0)).sources[0].weight == 0
