"""The training step learns, compiles once, and follows the paper's learning rate."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aef_jax.sharding.mesh import batch_shardings, make_mesh
from aef_jax.sharding.placement import to_devices
from aef_jax.training.optimizer import learning_rate, make_optimizer
from aef_jax.training.step import init_state, make_train_step
from configs.objective import ObjectiveConfig
from configs.training import TrainingConfig
from tests.aef_jax.conftest import BRIEF
from tests.support.data.small_site import CONFIG, small_stream

pytestmark = pytest.mark.usefixtures("quick_compiles")

SILENT = ObjectiveConfig(noise=False)
COURSE = TrainingConfig(steps=100, warmup_steps=10, learning_rate=2e-3)


@pytest.mark.parametrize(
    ("step", "share"), [(0, 0), (1, 0.1), (5, 0.5), (10, 1), (55, 0.5), (99, 1 / 90), (100, 0), (1000, 0)]
)
def test_learning_rate_rises_linearly_to_its_peak_and_falls_to_0(step, share):
    assert learning_rate(COURSE)(step) == pytest.approx(share * 2e-3, abs=1e-9)


def test_without_a_warm_up_the_course_begins_at_its_peak():
    schedule = learning_rate(replace(COURSE, warmup_steps=0))
    assert [float(schedule(step)) for step in (0, 50, 100)] == pytest.approx([2e-3, 1e-3, 0])


@pytest.fixture(scope="module")
def several():
    """Return a config of several sources, the mesh, and two batches on its devices."""
    config = replace(
        BRIEF,
        sources=CONFIG.sources,
        model=replace(BRIEF.model, text_width=CONFIG.model.text_width),
        data=CONFIG.data,
        training=replace(BRIEF.training, steps=30, warmup_steps=1, learning_rate=3e-2, batch=4),
    )
    mesh = make_mesh(config.mesh)
    batches = small_stream(config)
    return config, mesh, [to_devices(next(batches), mesh) for _ in range(2)]


@pytest.fixture(scope="module")
def step_and_start(several):
    """Return the step of `several`, and a function that returns its state before the first step."""
    config, mesh, _ = several
    state = init_state(config, mesh)  # each step donates what it is given
    return make_train_step(config, mesh), lambda: jax.tree.map(jnp.copy, state)


@pytest.mark.slow
def test_several_sources_train_in_a_step_that_compiles_once(several, step_and_start):
    """Optical, radar with metadata, a static map and classes. One batch is repeated, so the loss must fall."""
    _, mesh, (first, second) = several
    assert set(first.targets) == {"sentinel2", "landsat", "sentinel1", "glo30", "nlcd"}
    assert jax.tree.map(lambda leaf: leaf.sharding, first) == batch_shardings(first, mesh)

    step, start = step_and_start
    state, terms = step(start(), second)
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


@pytest.mark.slow
def test_nonfinite_step_changes_nothing_and_is_counted(several, step_and_start):
    """Parameters, moments and learning rate stay; the next step is the same as without the skipped one."""
    config, _, (first, second) = several
    step, start = step_and_start
    poison = first.targets["sentinel2"]._replace(pixels=first.targets["sentinel2"].pixels * jnp.nan)
    poisoned = first._replace(targets={**first.targets, "sentinel2": poison})

    state, _ = step(start(), second)
    before = jax.device_get(state)
    after, terms = step(state, poisoned)
    assert not np.isfinite(terms["loss"])
    assert (int(terms["skipped"]), int(terms["consecutive_skips"])) == (1, 1)
    after_host = jax.device_get(after)
    assert _same(after_host.params, before.params)
    assert _same(after_host.optimizer.inner_state, before.optimizer.inner_state)
    assert int(after.step) == int(before.step) + 1

    _, terms = step(after, second)
    assert np.isfinite(terms["loss"])
    assert (int(terms["skipped"]), int(terms["consecutive_skips"])) == (1, 0)
    assert float(terms["learning_rate"]) == pytest.approx(float(learning_rate(config.training)(1)))


def test_a_step_is_skipped_number_by_number():
    """A conditional would write every update to memory before parameters change; and `finite` is an argument."""
    optimizer, params = make_optimizer(COURSE), {"kernel": jnp.ones((8, 8))}
    update = jax.make_jaxpr(lambda finite, state: optimizer.update(params, state, params, finite=finite))
    done = {equation.primitive.name for equation in update(jnp.asarray(True), optimizer.init(params)).eqns}
    assert "sqrt" in done
    assert not done & {"cond", "is_finite"}


@pytest.mark.slow
def test_finite_gradient_with_overflowing_norm_is_skipped(several):
    """Clipping would make every gradient 0, and Adam would still move parameters."""
    config, mesh, batch = alone(several)
    steep = replace(config, objective=ObjectiveConfig(reconstruction=1e25))
    _, terms = make_train_step(steep, mesh)(init_state(steep, mesh), batch)
    assert np.isfinite(terms["loss"])
    assert not np.isfinite(terms["gradient_norm"])
    assert int(terms["skipped"]) == 1


@pytest.mark.slow
def test_a_batch_in_parts_gives_the_mean_of_the_parts(several):
    """Four sequences in two parts: the gradient is the mean over (first, third) and (second, fourth)."""
    config, mesh, batch = alone(several)
    config = replace(config, training=replace(config.training, clip_norm=1e9), objective=SILENT)
    in_parts = replace(config, training=replace(config.training, grad_accum_steps=2))
    of_two = replace(config, training=replace(config.training, batch=2))
    step, start = make_train_step(of_two, mesh), init_state(config, mesh)
    halves = [jax.tree.map(lambda x, k=k: x[k::2], batch) for k in range(2)]

    parts = [step(jax.tree.map(jnp.copy, start), half)[1] for half in halves]
    _, together = make_train_step(in_parts, mesh)(start, batch)
    for name in ("loss", "reconstruction/sentinel2", "consistency", "uniformity"):
        assert float(together[name]) == pytest.approx(np.mean([float(terms[name]) for terms in parts]), rel=1e-5)
    norms = [float(terms["gradient_norm"]) for terms in parts]
    assert max(norms) / 2 < float(together["gradient_norm"]) <= np.mean(norms) * (1 + 1e-5)


def alone(several):
    """Reduce config, mesh and batch to a single source, which compiles faster."""
    config, mesh, (batch, _) = several
    config = replace(config, sources=tuple(source for source in config.sources if source.name == "sentinel2"))
    parts = {name: {"sentinel2": getattr(batch, name)["sentinel2"]} for name in ("frames", "student", "targets")}
    return config, mesh, batch._replace(**parts, text=None)


def _same(tree, other) -> bool:
    return all(jax.tree.leaves(jax.tree.map(np.array_equal, tree, other)))
