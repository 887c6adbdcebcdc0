"""Tests of accelerators' peaks and of the rates of training steps."""

from types import SimpleNamespace

import jax

from aef_jax.training.accelerators import peak_flops
from aef_jax.training.throughput import Throughput, unknown_peak_note
from configs.fake_batch import random_batch
from tests.support.data.small_site import CONFIG, schema_of


def test_peak_is_that_of_the_longest_matching_device_kind():
    assert peak_flops("NVIDIA H100 80GB HBM3") == 989e12
    assert peak_flops("NVIDIA H100 PCIe") == 756e12
    assert peak_flops("NVIDIA H100 NVL") == peak_flops("NVIDIA H200 NVL") == 835e12
    assert peak_flops("TPU v5 lite") == peak_flops("TPU v5e") == 197e12
    assert peak_flops("TPU v5p") == 459e12
    assert peak_flops("cpu") is None


def test_an_unknown_peak_is_reported_for_accelerators_only():
    notes = [
        unknown_peak_note(SimpleNamespace(platform=platform, device_kind=kind))
        for platform, kind in (("gpu", "NVIDIA X1"), ("gpu", "NVIDIA H200"), ("cpu", "cpu"))
    ]
    assert notes == ["the peak FLOP/s of a NVIDIA X1 is not known, so MFU is not reported", "", ""]


def test_rates_count_the_global_batch():
    throughput = Throughput(CONFIG, schema_of())
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
    assert "peak_gigabytes" not in rates, "a CPU does not report its memory"


def test_peak_memory_is_the_largest_of_the_hosts_devices(monkeypatch):
    chips = [SimpleNamespace(memory_stats=lambda used=used: {"peak_bytes_in_use": used}) for used in (2e9, 3e9)]
    monkeypatch.setattr(jax, "local_devices", lambda: chips)
    batch, _ = random_batch(CONFIG, side=16)
    assert Throughput(CONFIG, schema_of()).rates(batch, seconds=2, waited=0)["peak_gigabytes"] == 3
