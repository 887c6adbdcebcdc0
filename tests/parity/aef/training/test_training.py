"""Training from one initial state, on the same batches and noise, is the same in both frameworks."""

from dataclasses import replace

import pytest
import torch

from aef_torch.training.snapshot import restored, snapshot
from configs.sources import NLCD
from parity.aef.check.training_setup import TRAINING, one_ulp_up
from parity.aef.conversion.jax_state import from_jax, to_jax
from parity.aef.training.steps import continue_in_torch, jax_steps, run_torch_steps, single_device_mesh, torch_steps
from parity.aef.training.trajectory import Trajectory, distances, trajectory_distance
from parity.comparison.tolerances import CHAOS_RATIO
from tests.support.training_start import SMALL, batches, doubled, initial_snapshot

STEPS = 40
KINDS = {"params", "exp_avg", "exp_avg_sq"}

pytestmark = pytest.mark.usefixtures("one_thread", "quick_compiles")


@pytest.fixture(scope="module")
def step_batches():
    """The batch of each step: a few batches, in turn."""
    few = batches()
    return [few[step % len(few)] for step in range(STEPS)]


@pytest.fixture(scope="module")
def double(step_batches) -> tuple[Trajectory, Trajectory]:
    config = doubled(SMALL)
    return jax_steps(config, initial_snapshot(), step_batches), torch_steps(config, initial_snapshot(), step_batches)


@pytest.fixture(scope="module")
def single(step_batches) -> tuple[Trajectory, Trajectory]:
    return jax_steps(SMALL, initial_snapshot(), step_batches), torch_steps(SMALL, initial_snapshot(), step_batches)


@pytest.mark.slow
def test_some_steps_are_clipped_and_none_is_skipped(double):
    norms = [terms["gradient_norm"] for terms in double[1].terms]
    assert min(norms) < 0.99 * TRAINING.clip_norm < 1.01 * TRAINING.clip_norm < max(norms)
    assert {terms["skipped"] for terms in double[1].terms} == {0}


@pytest.mark.slow
def test_float64_training_terms_and_state_agree_at_every_step(double):
    far = trajectory_distance(*double)
    assert max(max(steps) for steps in far.terms.values()) < 1e-12
    assert far.first.keys() == far.last.keys() == KINDS
    assert max(far.first.values()) < 1e-13
    assert max(far.last.values()) < 1e-12
    one_by_one = distances(double[0].last.params, double[1].last.params)
    assert max(one_by_one.values()) < 1e-12


@pytest.mark.slow
def test_float32_losses_and_parameters_agree(single):
    far = trajectory_distance(*single)
    assert max(far.terms["loss"]) < 1e-6
    assert far.first["params"] == 0  # the schedule starts with a learning rate of 0
    assert far.last["params"] < 5e-7


@pytest.mark.slow
def test_float32_states_differ_no_more_than_rounding(single, step_batches):
    nudged = trajectory_distance(torch_steps(SMALL, one_ulp_up(initial_snapshot()), step_batches), single[1]).last
    far = trajectory_distance(*single).last
    assert {kind for kind in KINDS if not far[kind] < CHAOS_RATIO * nudged[kind]} == set()


@pytest.mark.slow
def test_float32_errors_of_both_frameworks_are_similar(single, double):
    by_jax, by_torch = (trajectory_distance(run, double[1]).last for run in single)
    assert {kind for kind in KINDS if not by_jax[kind] < 1.2 * by_torch[kind]} == set()


@pytest.mark.slow
def test_a_state_converts_to_jax_and_back_exactly(single):
    saved = replace(single[1].last, step=7, skipped=2, consecutive_skips=1)
    for returned in (from_jax(to_jax(saved, SMALL, single_device_mesh()), SMALL), snapshot(restored(saved, SMALL))):
        assert (returned.step, returned.skipped, returned.consecutive_skips) == (7, 2, 1)
        for kind in KINDS:
            assert max(distances(getattr(returned, kind), getattr(saved, kind)).values()) == 0


@pytest.mark.slow
def test_pytorch_continues_training_from_a_jax_state(double, step_batches):
    config = doubled(SMALL)
    half = jax_steps(config, initial_snapshot(), step_batches[:2]).last
    assert (
        trajectory_distance(
            jax_steps(config, half, step_batches[2:4]), torch_steps(config, half, step_batches[2:4])
        ).last["params"]
        < 1e-13
    )
    for state, terms in continue_in_torch(config, half, step_batches[2:], to_step=4):
        expected = double[0].terms[state.step - 1]
        assert {name for name in terms if abs(terms[name] - expected[name]) > 1e-12 * abs(expected[name])} == set()
    with pytest.raises(ValueError, match="to_step is 2, expected more than 2 and at most 1000"):
        continue_in_torch(config, half, step_batches, to_step=2)


@pytest.mark.slow
def test_a_nonfinite_step_changes_nothing_in_either_framework(step_batches):
    """The learning-rate schedule does not advance either."""
    config, nan = doubled(SMALL), step_batches[1].targets["sentinel1"]
    targets = {**step_batches[1].targets, "sentinel1": nan._replace(pixels=nan.pixels * torch.nan)}
    poisoned = step_batches[1]._replace(targets=targets)
    batches_used = [step_batches[0], poisoned, step_batches[2]]
    by_jax, truth = (
        jax_steps(config, initial_snapshot(), batches_used),
        torch_steps(config, initial_snapshot(), batches_used),
    )
    assert [(terms["skipped"], terms["consecutive_skips"]) for terms in truth.terms] == [(0, 0), (1, 1), (1, 0)]
    assert [terms["learning_rate"] for terms in truth.terms] == pytest.approx([0, 1e-4 / 20, 1e-4 / 20])
    assert not abs(truth.terms[1]["loss"]) < float("inf")
    assert max(trajectory_distance(by_jax, truth).last.values()) < 1e-12
    for name, steps in trajectory_distance(by_jax, truth).terms.items():
        assert max(steps[0], steps[2]) < 1e-12, name


def test_moments_decay_for_a_source_without_a_target(step_batches):
    config = doubled(SMALL)
    without = step_batches[1]._replace(
        targets={name: t for name, t in step_batches[1].targets.items() if name != NLCD.name}
    )
    states = [snapshot(state) for state, _ in run_torch_steps(config, initial_snapshot(), [step_batches[0], without])]
    name = "decoders.nlcd.out.weight"
    assert torch.equal(states[1].exp_avg[name], states[0].exp_avg[name] * 0.9)
