"""A linear probe finds what is linear, and nothing that only its own places would tell it."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest

from aef_jax.data.sampling.validation import ValidationExample
from aef_jax.evaluation.linear_probe import probe_score
from aef_jax.evaluation.probe_report import Probed, composite, probe_run, table
from aef_jax.evaluation.validation import Evaluation, ValidationReconstruction
from aef_jax.training.accelerators import peak_flops
from aef_jax.training.throughput import Throughput, unknown_peak_note
from configs.fake_batch import random_batch
from configs.fields.statistics import CLIP_SIGMA
from tests.support.data.small_site import CONFIG, held_by, small_site
from tests.support.refusals import error_message

PLACES = 12


def _maps(seed: int = 0) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return [generator.integers(0, 3, (8, 8)).astype(np.uint8) for _ in range(PLACES)]


def _noise(seed: int, width: int = 6) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return [generator.standard_normal((8, 8, width)).astype(np.float32) for _ in range(PLACES)]


def test_classes_that_lie_apart_are_all_found():
    labels = _maps()
    directions = np.random.default_rng(1).standard_normal((3, 6)).astype(np.float32) * 5
    features = [0.1 * noise + directions[each] for noise, each in zip(_noise(2), labels, strict=True)]
    assert probe_score(features, labels, seed=0) == 1


def test_features_that_know_nothing_score_as_chance():
    assert np.mean([probe_score(_noise(3), _maps(), seed) for seed in range(5)]) == pytest.approx(1 / 3, abs=0.05)


def test_what_only_tells_places_apart_is_worth_nothing():
    """Every place is of one class, and has features of its own: seen pixels of the place asked for would be the key."""
    labels = [np.full((8, 8), place % 3, np.uint8) for place in range(PLACES)]
    own = np.random.default_rng(4).standard_normal((PLACES, 40)).astype(np.float32)
    features = [np.broadcast_to(each, (8, 8, 40)) for each in own]
    assert np.mean([probe_score(features, labels, seed) for seed in range(10)]) < 0.6


def test_a_rare_class_counts_as_much_as_the_others():
    """A probe that always says the common class has a balanced accuracy of one half."""
    generator = np.random.default_rng(5)
    labels = [(generator.random((8, 8)) < 0.05).astype(np.uint8) for _ in range(PLACES)]
    features = [np.zeros((8, 8, 2), np.float32) for _ in labels]
    assert probe_score(features, labels, seed=0) == 0.5


def test_composite_is_clear_optical_median_and_radar_mean():
    site, schema = small_site(), held_by()
    found = composite(site, schema.normalization, CONFIG)
    assert found.shape == (*site.shape, 16)
    row, column = 5, 7
    expected = []
    for source, bands, middle in (("sentinel2", 5, np.median), ("landsat", 7, np.median), ("sentinel1", 4, np.mean)):
        series = schema.normalization.apply(site, CONFIG.decoded_sources).series[source]
        for band in range(bands):
            clear = series.valid[:, row, column, band]
            expected.append(middle(series.pixels[clear, row, column, band]))
    np.testing.assert_allclose(found[row, column], expected, rtol=1e-5, atol=1e-6)
    assert np.abs(found).max() <= CLIP_SIGMA


def test_a_run_of_the_sample_has_nothing_to_probe(training):
    assert "trained on the sample, which has no labels" in error_message(probe_run, training.run, 4, 2)


@pytest.mark.parametrize(("angle", "collapse"), [(0, 1), (np.pi / 3, 0.5), (np.pi / 2, 0)])
def test_collapse_is_the_cosine_of_examples_half_the_list_apart(angle, collapse):
    """Neighbours, which may be of the same ground, are alike here."""
    sides = [np.array([1, 0]), np.array([np.cos(angle), np.sin(angle)])]
    embeddings = [np.broadcast_to(side, (4, 4, 2)) for side in (sides[0], sides[0], sides[1], sides[1])]
    example = ValidationExample(None, None, 0)  # pyright: ignore[reportArgumentType]
    made = [ValidationReconstruction(example, np.zeros((4, 4, 1), np.float32), each) for each in embeddings]
    assert Evaluation(made, {}).collapse == pytest.approx(collapse, abs=1e-6)


def test_the_table_gives_mean_and_deviation():
    assert table([Probed("embedding", 64, [0.5, 0.7])]).splitlines()[1].split() == [
        "embedding",
        "64",
        "0.600",
        "+-",
        "0.100",
    ]


def test_the_peak_of_a_device_is_known_by_its_kind():
    assert peak_flops("NVIDIA H100 80GB HBM3") == 989e12
    assert peak_flops("NVIDIA H100 PCIe") == 756e12
    assert peak_flops("NVIDIA H100 NVL") == peak_flops("NVIDIA H200 NVL") == 835e12
    assert peak_flops("TPU v5 lite") == peak_flops("TPU v5e") == 197e12
    assert peak_flops("TPU v5p") == 459e12
    assert peak_flops("cpu") is None


def test_an_accelerator_of_which_no_peak_is_known_is_told():
    found = [
        unknown_peak_note(SimpleNamespace(platform=platform, device_kind=kind))
        for platform, kind in (("gpu", "NVIDIA X1"), ("gpu", "NVIDIA H200"), ("cpu", "cpu"))
    ]
    assert found == ["the peak of a NVIDIA X1 is not known here, so no MFU is told", "", ""]


def test_rates_are_of_the_global_batch():
    throughput = Throughput(CONFIG, held_by())
    sequences = CONFIG.training.batch // 2  # this host's
    batch, _ = random_batch(CONFIG, side=16, sequences=sequences)
    own = sum(int(frames.present.sum()) for frames in batch.frames.values())
    rates = throughput.rates(batch, seconds=2, waited=0.5)
    assert rates["frames_per_second"] == own * 2 / 2
    assert rates["sequences_per_second"] == CONFIG.training.batch / 2
    assert rates["waiting_for_data"] == 0.25
    assert rates["flops_per_second"] == throughput.flops * CONFIG.training.batch / 2
    throughput.peak = 2 * rates["flops_per_second"]
    assert throughput.rates(batch, seconds=2, waited=0)["mfu"] == 0.5
    assert "peak_gigabytes" not in rates, "a CPU does not tell"


def test_the_most_memory_of_this_hosts_accelerators_is_told(monkeypatch):
    chips = [SimpleNamespace(memory_stats=lambda used=used: {"peak_bytes_in_use": used}) for used in (2e9, 3e9)]
    monkeypatch.setattr(jax, "local_devices", lambda: chips)
    batch, _ = random_batch(CONFIG, side=16)
    assert Throughput(CONFIG, held_by()).rates(batch, seconds=2, waited=0)["peak_gigabytes"] == 3
