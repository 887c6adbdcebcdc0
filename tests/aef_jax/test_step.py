"""The training step learns, compiles once, and follows the paper's course."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from small_site import CONFIG, small_site

from aef_jax.data.pipeline import training_batches
from aef_jax.sharding import batch_sharding, make_mesh, to_devices
from aef_jax.step import init_state, learning_rate, make_train_step
from configs.training import TrainingConfig

from .conftest import BRIEF

pytestmark = pytest.mark.usefixtures("quick_compiles")

COURSE = TrainingConfig(steps=100, warmup_steps=10, learning_rate=2e-3)


@pytest.mark.parametrize(
    ("step", "share"), [(0, 0), (1, 0.1), (5, 0.5), (10, 1), (55, 0.5), (99, 1 / 90), (100, 0), (1000, 0)]
)
def test_the_learning_rate_goes_from_0_to_its_peak_and_to_0_in_straight_lines(step, share):
    assert learning_rate(COURSE)(step) == pytest.approx(share * 2e-3, abs=1e-9)


def test_without_a_warm_up_the_course_begins_at_its_peak():
    schedule = learning_rate(replace(COURSE, warmup_steps=0))
    assert [float(schedule(step)) for step in (0, 50, 100)] == pytest.approx([2e-3, 1e-3, 0])


def test_several_sources_are_learned_together_by_a_step_that_compiles_once():
    """Optical, radar with its metadata, a static map and classes; the same batch again and again, so the loss falls."""
    config = replace(
        BRIEF,
        sources=CONFIG.sources,
        data=CONFIG.data,
        training=replace(BRIEF.training, steps=30, warmup_steps=1, learning_rate=3e-2),
    )
    mesh = make_mesh(config.mesh)
    batches = training_batches(small_site(), config)
    first, second = (to_devices(next(batches), mesh) for _ in range(2))
    assert set(first.targets) == {"sentinel2", "landsat", "sentinel1", "glo30", "nlcd"}
    assert {leaf.sharding for leaf in jax.tree.leaves(first)} == {batch_sharding(mesh)}

    step, state = make_train_step(config, mesh), init_state(config, mesh)
    state, terms = step(state, second)
    history = []
    for _ in range(12):
        state, terms = step(state, first)
        history.append({name: float(value) for name, value in terms.items()})
    assert step._cache_size() == 1
    assert int(state.step) == 13
    assert np.isfinite([list(terms.values()) for terms in history]).all()
    assert history[-1]["loss"] < 0.9 * history[0]["loss"]
    for source in ("sentinel2", "landsat", "sentinel1", "glo30", "nlcd"):
        assert f"reconstruction/{source}" in history[0]
        assert history[0][f"reconstruction/{source}"] > 0
