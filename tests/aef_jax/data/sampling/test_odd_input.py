"""Odd data from sensors and archives: empty frames, cloudy years, equal times, sites without a source."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from flax import nnx

from aef_jax.data.loading.pipeline import stack
from aef_jax.data.sampling.examples import TileLocation, draw_example, draw_location
from aef_jax.data.sampling.targets import metadata_code
from aef_jax.data.sampling.validation import validation_example_of_each, validation_examples
from aef_jax.data.store.record import decode, encode
from aef_jax.data.store.site import Series, Site, TextPoints, to_ms
from aef_jax.model.alphaearth import AlphaEarth
from aef_jax.model.bottleneck import sample_noise
from aef_jax.training.objective import objective
from configs.batch import Batch
from configs.encodings.timecode import DAY_MS, timecode
from configs.sources import PALSAR2, SENTINEL1
from tests.aef_jax.conftest import BRIEF
from tests.support.data.small_site import CONFIG, START_MS, TEXT_WIDTH, schema_of, small_site, small_stream
from tests.support.refusals import error_message

SITE = small_site()
SCHEMA = schema_of()
YEAR = START_MS + 300 * DAY_MS, START_MS + 665 * DAY_MS
PLACE = TileLocation(3, 5, YEAR)


def _with(site: Site, **series: Series) -> Site:
    return replace(site, series={**site.series, **series})


def _examples(site: Site, number: int = 20, schema=SCHEMA, config=CONFIG) -> list[Batch]:
    return [draw_example(site, schema, config, PLACE, np.random.default_rng(seed)) for seed in range(number)]


def _blank(series: Series, frames) -> Series:
    """Remove the data of some frames, which stay marked valid."""
    pixels, valid = series.pixels.copy(), series.valid.copy()
    pixels[frames], valid[frames] = series.no_data if series.no_data is not None else np.nan, True
    return replace(series, pixels=pixels, valid=valid)


def _is_finite(batch: Batch) -> bool:
    return all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(batch))


@pytest.mark.parametrize("name", ["sentinel2", "landsat", "sentinel1"])
def test_no_data_frames_are_never_inputs_or_targets(name):
    series = SITE.series[name]
    year = np.flatnonzero((series.time_ms >= YEAR[0]) & (series.time_ms < YEAR[1]))
    clear = [i for i in year if series.valid[i, 3:19, 5:21].mean() > 0.5]
    blank = np.setdiff1d(year, clear[:2])
    for example in _examples(_with(SITE, **{name: _blank(series, blank)})):
        assert example.frames[name].present.sum() == 1
        assert example.student[name].present.sum() <= 1
        assert example.targets[name].valid.any()
        assert _is_finite(example)


def test_year_of_only_no_data_has_no_input_and_no_target():
    nothing = {name: _blank(SITE.series[name], slice(None)) for name in ("sentinel2", "landsat", "sentinel1")}
    for example in _examples(_with(SITE, **nothing), 5):
        for name in nothing:
            assert not example.frames[name].present.any()
            assert not example.student[name].present.any()
            assert not example.targets[name].valid.any()
        assert _is_finite(example)


def test_year_includes_its_first_and_last_millisecond():
    start, end = to_ms("2017-01-01"), to_ms("2018-01-01")
    times = np.array([start - 1, start, to_ms("2017-06-01"), to_ms("2017-12-31T23:59:59.999"), end])
    series = SITE.series["landsat"].select_frames(slice(0, 5))
    series = replace(series, time_ms=times, valid=np.ones_like(series.valid))
    site = _with(replace(SITE, support=(start, end)), landsat=series)
    location = draw_location(site, CONFIG, np.random.default_rng(0))
    assert location.support == (start, end)
    seen = {timecode(time).astype(np.float32).tobytes(): int(time) for time in times}
    inputs, targets = set(), set()
    for seed in range(40):
        example = draw_example(site, SCHEMA, CONFIG, location, np.random.default_rng(seed))
        frames = example.frames["landsat"]
        drawn = {seen[code.tobytes()] for code in frames.timecodes[frames.present]}
        inputs |= drawn
        targets |= set(times[1:4]) - drawn
        assert 0 <= np.abs(example.targets["landsat"].time_code).max() <= 1
    assert inputs == targets == set(times[1:4])


def test_frames_at_the_target_time_are_not_inputs():
    series = SITE.series["sentinel2"]
    times = series.time_ms.copy()
    times[1::2] = times[: 2 * len(times[1::2]) : 2]
    same_pass = []
    for example in _examples(_with(SITE, sentinel2=replace(series, time_ms=times))):
        frames = example.frames["sentinel2"]
        codes = [code.tobytes() for code in frames.timecodes[frames.present]]
        same_pass.append(len(codes) - len(set(codes)))
        target = example.targets["sentinel2"]
        shown = SCHEMA.normalization.z_score(series.window(slice(3, 19), slice(5, 21)), SCHEMA.sources[0]).pixels
        (index,) = [i for i, pixels in enumerate(shown) if np.array_equal(pixels, target.pixels)]
        assert timecode(times[index]).astype(np.float32).tobytes() not in codes
    assert any(same_pass), "inputs may be same_pass of each other"


def test_validation_target_is_the_fuller_of_simultaneous_frames():
    series = SITE.series["sentinel2"]
    index = int(np.argmax(series.valid.mean(axis=(1, 2, 3)) * (series.time_ms > YEAR[0])))
    times, valid = series.time_ms.copy(), series.valid.copy()
    times[index - 1], valid[index - 1] = times[index], False
    site = _with(SITE, sentinel2=replace(series, time_ms=times, valid=valid))
    for example in validation_examples(site, SCHEMA, times[index : index + 1], CONFIG):
        assert example.batch.targets["sentinel2"].valid.any()


def test_site_smaller_than_a_tile_is_reported_through_threads():
    small = SITE.window(slice(0, 24), slice(0, 12))
    stream = small_stream(CONFIG, small)
    assert "site small: 24 x 12 pixels, expected at least one tile of 16 x 16" in error_message(next, stream)


@pytest.mark.parametrize(("days", "is_enough"), [(9, False), (10, True)])
def test_support_period_must_hold_two_valid_periods(days, is_enough):
    short = replace(SITE, support=(YEAR[0], YEAR[0] + days * DAY_MS))
    rng = np.random.default_rng(0)
    if is_enough:
        location = draw_location(short, CONFIG, rng)
        for _ in range(50):
            assert _is_finite(draw_example(short, SCHEMA, CONFIG, location, rng))
    else:
        assert "its support period has 9 days, expected at least 10" in error_message(draw_location, short, CONFIG, rng)


def test_unknown_metadata_have_a_code_that_no_known_value_has():
    """Sentinel-1 without its heading could not be stored."""
    radar = SITE.series["sentinel1"]
    unknown = np.column_stack([np.full(len(radar.time_ms), np.nan), radar.metadata[:, 1]])
    site = decode(encode(_with(SITE, sentinel1=replace(radar, metadata=unknown))), "blob")
    rng = np.random.default_rng
    code = draw_example(site, SCHEMA, CONFIG, PLACE, rng(0)).targets["sentinel1"].metadata
    known = draw_example(SITE, SCHEMA, CONFIG, PLACE, rng(0)).targets["sentinel1"].metadata
    assert code.tolist() == [0, 0, *known[2:].tolist()]
    assert metadata_code(PALSAR2, np.array([np.nan, 1.0])).tolist() == [0, 1]
    assert metadata_code(PALSAR2, np.array([0.0, np.nan])).tolist() == [-1, 0]
    np.testing.assert_allclose(np.hypot(known[::2], known[1::2]), 1, rtol=1e-6)
    for degrees in (-90, 0, 90, 180, 360):
        assert np.hypot(*metadata_code(SENTINEL1, np.array([degrees, np.nan]))[:2]) == pytest.approx(1)


def test_metadata_and_texts_of_wrong_length_are_refused():
    radar = replace(SITE.series["sentinel1"], metadata=SITE.series["sentinel1"].metadata[:, :1])
    said = error_message(draw_example, _with(SITE, sentinel1=radar), SCHEMA, CONFIG, PLACE, np.random.default_rng(0))
    assert "sentinel1: a frame has 1 metadata fields, expected ['platform_heading', 'orbit_inclination']" in said
    narrow = replace(SITE, text=replace(SITE.text, sentence=SITE.text.sentence[:, :3]))
    said = error_message(draw_example, narrow, SCHEMA, CONFIG, PLACE, np.random.default_rng(0))
    assert f"site small: sentence embeddings of 3 numbers, expected {TEXT_WIDTH}" in said


@pytest.mark.slow
@pytest.mark.usefixtures("quick_compiles")
def test_worst_locations_have_finite_loss_and_gradients():
    """A cloudy year, a year without data, one of another sensor alone without text, and a normal one."""
    sources = tuple(source for source in CONFIG.sources if source.name in ("sentinel2", "sentinel1", "nlcd", "text"))
    config = replace(BRIEF, sources=sources, data=CONFIG.data, model=replace(BRIEF.model, text_width=TEXT_WIDTH))
    cloudy = {name: replace(s, valid=np.zeros_like(s.valid)) for name, s in SITE.series.items()}
    nothing = {name: _blank(s, slice(None)) for name, s in SITE.series.items() if s.pixels.dtype != np.uint8}
    alone = replace(SITE, series={"sentinel1": SITE.series["sentinel1"]}, text=TextPoints.none())
    sites = [_with(SITE, **cloudy), _with(SITE, **nothing), alone, SITE]
    schema = replace(SCHEMA, sources=tuple(source for source in config.sources if source.kind != "text"))
    batch = stack([example for site in sites for example in _examples(site, 1, schema, config)])
    noise = sample_noise(jax.random.key(0), (4, 3, 16, 16), config.model.embed_dim, config.model.kappa)
    graph, params = nnx.split(AlphaEarth(config, rngs=nnx.Rngs(0)))

    @jax.jit
    def loss_and_gradient(params, batch):
        return jax.value_and_grad(lambda p: objective(nnx.merge(graph, p), batch, noise, config), has_aux=True)(params)

    for order in ([0, 1, 2, 3], [1, 1, 1, 1]):  # all together, and four times the worst
        reordered = jax.tree.map(lambda leaf, order=order: leaf[order], batch)
        (loss, terms), gradient = loss_and_gradient(params, reordered)
        assert np.isfinite(loss)
        assert np.isfinite(list(terms.values())).all()
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


# --- Held-out sites ---


def _sites(number: int) -> list[Site]:
    labels = np.zeros((24, 24), np.uint8)
    sites = [replace(small_site(seed, f"site{seed}"), support=YEAR) for seed in range(number)]
    return [replace(site, labels={"crops": labels + seed}) for seed, site in enumerate(sites)]


def test_validation_sites_have_one_fixed_example_up_to_a_limit():
    few = replace(CONFIG, training=replace(CONFIG.training, validation_sites=3))
    sites = _sites(7)
    examples = list(validation_example_of_each(sites, SCHEMA, few))
    labels = [int(example.labels["crops"][0, 0]) for example in examples if example.labels]
    assert labels == [0, 3, 6], "spread over all"
    again = list(validation_example_of_each(sites, SCHEMA, few))
    assert all(jax.tree.leaves(jax.tree.map(np.array_equal, examples, again)))
    assert len({str(jax.tree.map(np.shape, example.batch)) for example in examples}) == 1
    assert len(validation_example_of_each(sites, SCHEMA, CONFIG)) == 7


def test_validation_example_keeps_no_record_in_memory():
    (site,) = _sites(1)
    (example,) = validation_example_of_each([site], SCHEMA, CONFIG)
    for leaf in jax.tree.leaves((example.batch, example.persistence, example.labels)):
        for series in site.series.values():
            assert not np.shares_memory(leaf, series.pixels)
            assert not np.shares_memory(leaf, series.valid)
        assert not np.shares_memory(leaf, site.labels["crops"])
        assert not np.shares_memory(leaf, site.text.sentence)


def test_cloudy_or_sourceless_validation_sites_have_no_example():
    sites = _sites(4)
    del sites[1].series["sentinel2"]
    optical = sites[2].series["sentinel2"]
    sites[2].series["sentinel2"] = replace(optical, valid=np.zeros_like(optical.valid))
    examples = validation_example_of_each(sites, SCHEMA, CONFIG)
    assert [int(example.labels["crops"][0, 0]) for example in examples if example.labels] == [0, 3]
    assert "no frame of the 2 validation sites has a fraction of valid pixels" in error_message(
        validation_example_of_each, sites[1:3], SCHEMA, CONFIG
    )


def test_all_frames_of_a_long_support_period_are_inputs():
    (site,) = _sites(1)
    site = replace(site, support=(START_MS, START_MS + 3 * 365 * DAY_MS))
    (example,) = validation_example_of_each([site], SCHEMA, CONFIG)
    series = site.series["landsat"]
    in_period = np.sum((series.time_ms >= START_MS) & (series.time_ms < START_MS + 3 * 365 * DAY_MS))
    assert example.batch.frames["landsat"].present.sum() >= in_period - 1
