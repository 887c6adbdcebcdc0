"""The stream of batches: the same for any number of hosts and threads, and exact to resume."""

import json
from dataclasses import replace

import jax
import numpy as np
import pytest
from small_site import CONFIG, small_site

from aef_jax.data.pipeline import HostExamples, _draw_delay, stack, training_batches
from configs.timecode import DAY_MS, YEAR_DAYS, timecode

SITE = small_site()
SMALL = replace(CONFIG, training=replace(CONFIG.training, steps=6, warmup_steps=1, batch=4))


def _same(one, other) -> bool:
    return all(jax.tree.leaves(jax.tree.map(np.array_equal, one, other)))


@pytest.fixture(scope="module")
def batches():
    return list(training_batches(SITE, SMALL))


def test_there_are_as_many_batches_as_steps_and_all_have_one_shape(batches):
    assert len(batches) == 6
    assert len({str(jax.tree.map(np.shape, batch)) for batch in batches}) == 1
    assert batches[0].shared_period.shape[0] == 4


def test_examples_that_are_jittered_show_no_date_of_the_site(batches):
    jittered = list(training_batches(SITE, replace(SMALL, data=replace(SMALL.data, time_jitter_days=8))))
    known = timecode(np.concatenate([SITE.series[source].time_ms for source in ("sentinel2", "sentinel1")]))
    known = {code.tobytes() for code in known.astype(np.float32)}

    def dates(batch) -> list[bytes]:
        frames = (batch.frames[source] for source in ("sentinel2", "sentinel1"))
        return [code.tobytes() for f in frames for code in f.timecodes[f.present]]

    assert known.issuperset(dates(batches[0]))
    assert known.isdisjoint(dates(jittered[0]))


def test_an_examples_delay_is_of_whole_years_and_of_some_days():
    data = replace(SMALL.data, time_jitter_days=8, time_jitter_years=3)
    delays = np.array([_draw_delay(data, np.random.default_rng(seed)) for seed in range(500)]) / DAY_MS
    years = np.round(delays / YEAR_DAYS)
    assert set(years) == {-3, -2, -1, 0, 1, 2, 3}
    days = delays - years * YEAR_DAYS
    assert np.abs(days).max() <= 8
    assert days.std() == pytest.approx(8 / np.sqrt(3), rel=0.1)
    assert _draw_delay(SMALL.data, np.random.default_rng(0)) == 0


def test_no_two_examples_are_alike(batches):
    codes = {code.tobytes() for batch in batches for code in batch.shared_period}
    assert len(codes) == 24


def test_the_same_seed_gives_the_same_batches_whatever_the_threads_and_another_seed_others(batches):
    threaded = replace(SMALL, data=replace(SMALL.data, threads=5))
    assert _same(batches, list(training_batches(SITE, threaded)))
    other = replace(SMALL, training=replace(SMALL.training, seed=1))
    assert not _same(batches[0], next(training_batches(SITE, other)))


@pytest.mark.parametrize("hosts", [1, 2, 4])
def test_the_global_batch_is_the_same_for_any_number_of_hosts(batches, hosts):
    readers = [HostExamples(SITE, SMALL, host, hosts) for host in range(hosts)]
    share = 4 // hosts
    assert {len(reader) for reader in readers} == {6 * share}
    for step, batch in enumerate(batches):
        examples = [reader[step * share + within] for reader in readers for within in range(share)]
        assert _same(stack(examples), batch)


@pytest.mark.parametrize("done", [0, 1, 3, 5])
def test_a_stream_goes_on_from_its_state_as_if_it_had_never_stopped(batches, done):
    stream = training_batches(SITE, SMALL)
    for _ in range(done):
        next(stream)
    # through JSON, as a checkpoint keeps it; and with another number of threads
    state = json.loads(json.dumps(stream.get_state()))
    resumed = training_batches(SITE, replace(SMALL, data=replace(SMALL.data, threads=4)))
    resumed.set_state(state)
    assert _same(list(resumed), batches[done:])
