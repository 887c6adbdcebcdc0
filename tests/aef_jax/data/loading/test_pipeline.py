"""The stream of batches is the same for any number of hosts and threads, and resumes exactly."""

import time
from dataclasses import replace

import jax
import numpy as np
import pytest

from aef_jax.data.loading import pipeline
from aef_jax.data.loading.pipeline import HostExamples, count_empty, require_content, stack, training_batches
from aef_jax.data.loading.training_data import open_data
from aef_jax.data.store import writer
from aef_jax.run.folder import RunFolder
from aef_jax.training.loop import train
from configs.encodings.timecode import DAY_MS, timecode
from tests.support.data.small_dataset import small_sites, write
from tests.support.data.small_site import CONFIG, START_MS, schema_of, small_site, small_stream
from tests.support.refusals import error_message

SITE = small_site()
SCHEMA = schema_of()
SMALL = replace(CONFIG, training=replace(CONFIG.training, steps=6, warmup_steps=1, batch=4))


def rows_of(host: int, hosts: int, config) -> range:
    share = config.training.batch // hosts
    return range(host * share, (host + 1) * share)


def _same(tree, other) -> bool:
    return all(jax.tree.leaves(jax.tree.map(np.array_equal, tree, other)))


@pytest.fixture(scope="module")
def batches():
    return list(small_stream(SMALL))


def test_there_is_one_batch_per_step_and_all_have_one_shape(batches):
    assert len(batches) == 6
    assert len({str(jax.tree.map(np.shape, batch)) for batch in batches}) == 1
    assert batches[0].shared_period.shape[0] == 4


def test_jittered_examples_have_no_date_of_the_site(batches):
    jittered = list(small_stream(replace(SMALL, data=replace(SMALL.data, time_jitter_days=8))))
    known = timecode(np.concatenate([SITE.series[source].time_ms for source in ("sentinel2", "sentinel1")]))
    known = {code.tobytes() for code in known.astype(np.float32)}

    def dates(batch) -> list[bytes]:
        frames = (batch.frames[source] for source in ("sentinel2", "sentinel1"))
        return [code.tobytes() for f in frames for code in f.timecodes[f.present]]

    assert known.issuperset(dates(batches[0]))
    assert known.isdisjoint(dates(jittered[0]))


def test_no_two_examples_are_alike(batches):
    codes = {code.tobytes() for batch in batches for code in batch.shared_period}
    assert len(codes) == 24


def test_drawn_example_encodes_to_the_indexed_batch():
    dropout = replace(SMALL, data=replace(SMALL.data, teacher_frame_dropout=True, time_jitter_days=8))
    for config in (SMALL, dropout):
        examples = HostExamples([SITE], SCHEMA, config)
        for index in range(8):
            assert _same(examples.draw(index).to_batch(), examples[index])


def test_batches_depend_on_the_seed_but_not_on_threads(batches):
    threaded = replace(SMALL, data=replace(SMALL.data, threads=5))
    assert _same(batches, list(small_stream(threaded)))
    other = replace(SMALL, training=replace(SMALL.training, seed=1))
    assert not _same(batches[0], next(small_stream(other)))


@pytest.mark.parametrize("hosts", [1, 2, 4])
def test_the_global_batch_is_the_same_for_any_number_of_hosts(batches, hosts):
    readers = [HostExamples([SITE], SCHEMA, SMALL, rows_of(host, hosts, SMALL)) for host in range(hosts)]
    share = 4 // hosts
    assert {len(reader) for reader in readers} == {6 * share}
    for step, batch in enumerate(batches):
        examples = [reader[step * share + row] for reader in readers for row in range(share)]
        assert _same(stack(examples), batch)


@pytest.mark.parametrize(("done", "hosts"), [(0, 1), (1, 2), (3, 4), (5, 1), (6, 2)])
def test_stream_resumes_at_any_step_with_other_hosts_and_threads(batches, done, hosts):
    config = replace(SMALL, data=replace(SMALL.data, threads=3))
    streams = [
        training_batches(HostExamples([SITE], SCHEMA, config, rows_of(host, hosts, config)), steps_done=done)
        for host in range(hosts)
    ]
    resumed = [jax.tree.map(lambda *parts: np.concatenate(parts), *parts) for parts in zip(*streams, strict=True)]
    assert _same(resumed, batches[done:])


def _drawn_from(sites, steps: int, batch: int) -> list[list[int]]:
    training = replace(SMALL.training, steps=steps, batch=batch)
    examples = HostExamples(sites, SCHEMA, replace(SMALL, training=training))
    return [examples.records(step) for step in range(1, steps + 1)]


@pytest.mark.slow
@pytest.mark.parametrize(("bytes_ahead", "expected"), [(1, range(4, 8)), (2**30, range(20, 25))])
def test_read_ahead_is_bounded_in_bytes_too(bytes_ahead, expected, monkeypatch):
    read = []

    class Counted(HostExamples):
        def __getitem__(self, index):
            read.append(index)
            return super().__getitem__(index)

    monkeypatch.setattr(pipeline, "READ_AHEAD_BYTES", bytes_ahead)
    training, data = replace(SMALL.training, steps=100), replace(SMALL.data, threads=1)
    examples = Counted([SITE], SCHEMA, replace(SMALL, training=training, data=data))
    batches = training_batches(examples)
    next(batches)
    before = -1
    while len(read) > before:  # until reading pauses
        before = len(read)
        time.sleep(0.5)
    assert len(read) in expected


def test_epochs_hold_each_site_once_in_their_own_order():
    drawn = np.array(_drawn_from([SITE] * 10, steps=8, batch=5)).reshape(4, 10)
    for epoch in drawn:
        assert sorted(epoch) == list(range(10))
    assert len({tuple(epoch) for epoch in drawn}) == 4


def _weighted(weights: list[float], steps: int, rows=None, seed: int = 0) -> HostExamples:
    training = replace(SMALL.training, steps=steps, batch=len(weights), seed=seed)
    return HostExamples([SITE] * len(weights), SCHEMA, replace(SMALL, training=training), rows, np.array(weights))


@pytest.mark.slow
def test_an_epoch_holds_each_site_by_its_weight():
    """Of 6 draws per epoch, weights 1, 4, 1, 3, 1, 2 give 1/2, 2, 1/2, 3/2, 1/2 and 1: rounded up or down."""
    weights, epochs = [1, 4, 1, 3, 1, 2], 400
    examples = _weighted(weights, epochs)
    counts = np.array([np.bincount(examples.records(step), minlength=6) for step in range(1, epochs + 1)])
    expected = np.array(weights) / 2
    assert ((counts >= np.floor(expected)) & (counts <= np.ceil(expected))).all()
    np.testing.assert_allclose(counts.mean(axis=0), expected, atol=0.08)  # 3 standard deviations of 400 epochs
    assert len({tuple(examples.records(step)) for step in range(1, 51)}) > 40, "each epoch has its own order"


@pytest.mark.slow
def test_equal_weights_draw_as_none():
    equal, none = _weighted([3.0] * 5, 20), HostExamples([SITE] * 5, SCHEMA, _weighted([1.0] * 5, 20).config)
    assert [equal.records(step) for step in range(1, 21)] == [none.records(step) for step in range(1, 21)]


@pytest.mark.slow
def test_weighted_draws_depend_on_the_seed_but_not_on_hosts():
    weights = [1, 4, 1, 3]
    whole, again, other = _weighted(weights, 8), _weighted(weights, 8), _weighted(weights, 8, seed=1)
    hosts = [_weighted(weights, 8, rows=rows) for rows in ((0, 1), (2, 3))]
    drawn = [whole.records(step) for step in range(1, 9)]
    assert drawn == [again.records(step) for step in range(1, 9)]
    assert drawn != [other.records(step) for step in range(1, 9)]
    for host in hosts:
        assert [host.records(step) for step in range(1, 9)] == drawn
    assert _same(hosts[1][2 * 3 + 1], whole[4 * 3 + 3]), "row 3 of step 4"


def test_incomplete_last_batch_continues_into_the_next_epoch():
    drawn = np.concatenate(_drawn_from([SITE] * 7, steps=7, batch=4))
    for epoch in drawn.reshape(4, 7):
        assert sorted(epoch) == list(range(7))


def test_reported_sites_of_a_step_are_those_it_is_drawn_from():
    sites = [SITE.shift_time(number * 1_000 * DAY_MS) for number in range(5)]
    examples = HostExamples(sites, SCHEMA, SMALL)
    for step in (1, 2, 6):
        for row, record in enumerate(examples.records(step)):
            frames = examples[(step - 1) * 4 + row].frames["sentinel2"]
            known = {code.tobytes() for code in timecode(sites[record].series["sentinel2"].time_ms).astype(np.float32)}
            assert known.issuperset(code.tobytes() for code in frames.timecodes[frames.present])


def test_examples_without_input_or_target_are_counted(batches):
    """Row 2 of the users' cases: training succeeded on no frame at all, with a small loss."""
    assert count_empty(batches[0]) == {"examples_without_input": 0, "examples_without_target": 0}
    frames = {
        name: f._replace(present=f.present & (np.arange(4) >= 3)[:, None]) for name, f in batches[0].frames.items()
    }
    targets = {name: t._replace(valid=(t.valid.T & (np.arange(4) >= 1)).T) for name, t in batches[0].targets.items()}
    frames["landsat"] = batches[0].frames["landsat"]._replace(present=np.zeros_like(frames["landsat"].present))
    counts = count_empty(batches[0]._replace(frames=frames, targets=targets))
    assert counts == {"examples_without_input": 3, "examples_without_target": 1}


@pytest.mark.parametrize("lacking", ["frames", "targets"])
def test_a_run_of_empty_examples_is_refused(lacking):
    late = START_MS + 5_000 * DAY_MS, START_MS + 5_365 * DAY_MS
    static = {"glo30": replace(SITE.series["glo30"], valid=np.zeros_like(SITE.series["glo30"].valid))}
    if lacking == "frames":  # the dates were taken for another unit; the elevation has no date
        empty = replace(SITE, support=late)
    else:
        blind = {name: replace(s, valid=np.zeros_like(s.valid)) for name, s in SITE.series.items()}
        empty = replace(SITE, series=blind | static)
    said = error_message(require_content, HostExamples([empty], SCHEMA, SMALL, rows_of(0, 2, SMALL)))
    assert said == (
        "the sample: none of the run's first 24 examples has a frame of an input source and a valid target: are the"
        " sites' support periods those of their frames?"
    )
    require_content(HostExamples([empty, empty, SITE], SCHEMA, SMALL))


@pytest.mark.slow
def test_empty_examples_are_refused_before_a_run_begins(tmp_path, monkeypatch):
    """The writer refuses such sites today; data sets of older versions may hold them."""
    monkeypatch.setattr(writer, "validate_times", lambda site, sources: None)
    late = START_MS + 5_000 * DAY_MS, START_MS + 5_365 * DAY_MS
    path = write(tmp_path / "late", [replace(site, support=late) for site in small_sites(3)])
    run = RunFolder(tmp_path / "run")
    config = replace(SMALL, data=replace(SMALL.data, path=str(path)))
    assert "none of the run's first 24 examples has a frame" in error_message(train, config, run, open_data(config))
    assert not run.path.exists()
