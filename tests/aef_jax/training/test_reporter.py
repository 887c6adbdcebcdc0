"""Tests that the reporter attributes times to the right step and does not delay the run."""

import json
import multiprocessing
import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aef_jax.data.loading.pipeline import HostExamples, stack, training_batches
from aef_jax.data.loading.training_data import TrainingData, open_data
from aef_jax.run.checkpoint import Checkpointer, restore_params
from aef_jax.run.folder import RunFolder
from aef_jax.sharding.mesh import single_device_mesh
from aef_jax.training.loop import train
from aef_jax.training.reporter import Reporter
from configs.batch import Batch
from tests.aef_jax.conftest import BRIEF, STEPS
from tests.support.data.small_site import CONFIG, schema_of, small_site

STALLED = 4


def _stalling(batch: Batch) -> Iterator[Batch]:
    for number in range(1, 7):
        time.sleep(0.5 if number == STALLED else 0)
        yield batch


class _Running(np.ndarray):
    """A term that the device is still computing."""

    def is_ready(self) -> bool:
        return False


class _Done(np.ndarray):
    """A term that is computed when the step returns, as on one CPU."""

    def is_ready(self) -> bool:
        return True


@pytest.mark.slow
@pytest.mark.parametrize(("term", "slow"), [(_Running, STALLED - 1), (_Done, STALLED)])
def test_data_wait_is_reported_with_the_step_it_delays(term, slow, tmp_path):
    """A running step is reported after the next batch arrived, so it includes that wait; a done step does not."""
    site, schema = small_site(), schema_of()
    examples = HostExamples([site], schema, CONFIG)
    run = RunFolder(tmp_path)
    terms = {name: np.zeros(()).view(term) for name in ("loss", "skipped", "consecutive_skips")}
    batches = _stalling(stack([examples[0]]))
    with Reporter(
        CONFIG, run, TrainingData([site], {}, schema, site), examples, single_device_mesh(), resumed_at=0
    ) as reporter:
        for step in range(1, 7):
            reporter.step(step, terms, reporter.wait_for(batches))
        reporter.flush()
    records = [json.loads(line) for line in run.metrics_path.read_text().splitlines()]
    waited = {record["step"]: record["waiting_for_data"] for record in records if "waiting_for_data" in record}
    assert sorted(waited) == list(range(2, 7))  # the first step compiles
    assert all(0 <= share < 1 for share in waited.values())
    assert max(waited, key=lambda step: waited[step]) == slow
    assert waited[slow] > 0.8


@pytest.mark.slow
def test_a_killed_reader_is_told_at_once(tmp_path):
    site, schema = small_site(), schema_of()
    config = replace(CONFIG, data=replace(CONFIG.data, workers=2), training=replace(CONFIG.training, steps=200))
    examples = HostExamples([site], schema, config)
    data = TrainingData([site], {}, schema, site)
    (tmp_path / "checkpoints" / "3").mkdir(parents=True)
    reporter = Reporter(config, RunFolder(tmp_path), data, examples, single_device_mesh(), resumed_at=0)
    others = set(multiprocessing.active_children())
    batches = training_batches(examples)
    with reporter, closing(batches):
        reporter.wait_for(batches)
        (set(multiprocessing.active_children()) - others).pop().kill()
        begun = time.monotonic()
        with pytest.raises(ChildProcessError, match=r"\(exit code -9\), .*; the last checkpoint is that of step 3"):
            deque(reporter.wait_for(batches) for _ in range(199))
        assert time.monotonic() - begun < 30


@pytest.mark.slow
def test_pictures_fail_after_the_state_is_saved(training, quick_compiles, tmp_path, monkeypatch, capsys):
    """Other hosts wait for the checkpoint, and drawing may take long. Out of memory, it does not end the run."""
    saved, drawn, save = [], [], Checkpointer.save

    def noted(checkpointer, state, score=None):
        saved.append(int(state.step))
        save(checkpointer, state, score)

    def without_memory(*_):
        drawn.append(list(saved))
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory\nand what was allocated")

    monkeypatch.setattr(Checkpointer, "save", noted)
    monkeypatch.setattr("aef_jax.training.reporter.write_field_png", without_memory)
    run = training.copied(tmp_path / "run", STEPS // 2)
    assert train(BRIEF, run, open_data(BRIEF)) == STEPS
    assert drawn == [[STEPS]]
    assert run.picture("reconstructions").is_file()
    assert "could not be drawn: RESOURCE_EXHAUSTED: out of memory and what was allocated\n" in capsys.readouterr().err
    params, expected = (restore_params(each.checkpoints, BRIEF) for each in (run, training.run))
    assert all(jax.tree.leaves(jax.tree.map(np.array_equal, params, expected)))


def test_a_site_that_cannot_be_drawn_is_told(tmp_path, capsys):
    site, schema = small_site(), schema_of()
    data = TrainingData([site], {}, schema, replace(site, series={}))
    examples, mesh = HostExamples([site], schema, CONFIG), single_device_mesh()
    with Reporter(CONFIG, RunFolder(tmp_path), data, examples, mesh, resumed_at=0) as reporter:
        reporter.draw(1, jnp.zeros(3))
    assert "aef: step 1: the pictures could not be drawn: " in capsys.readouterr().err
