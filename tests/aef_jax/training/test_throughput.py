"""Accelerators' peaks, the rates of steps as means over several, and what is no part of their time."""

from types import SimpleNamespace

import jax
import pytest

from aef_jax.training import throughput as module
from aef_jax.training.accelerators import peak_flops
from aef_jax.training.throughput import WINDOW, Goodput, Lap, Throughput, unknown_peak_note
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
    assert throughput.rates([]) == {}
    assert throughput.frames(batch) == 2 * own
    rates = throughput.rates([Lap(10, 0.5, 0.25), Lap(20, 1.5, 0.25)])
    assert rates["frames_per_second"] == 30 / 2
    assert rates["sequences_per_second"] == 2 * CONFIG.training.batch / 2
    assert rates["waiting_for_data"] == 0.25
    assert rates["flops_per_second"] == throughput.flops * CONFIG.training.batch
    throughput.peak = 2 * rates["flops_per_second"]
    assert throughput.rates([Lap(10, 0.5, 0), Lap(20, 1.5, 0)])["mfu"] == 0.5
    assert "peak_gigabytes" not in rates, "a CPU does not report its memory"


def test_peak_memory_is_the_largest_of_the_hosts_devices(monkeypatch):
    chips = [SimpleNamespace(memory_stats=lambda used=used: {"peak_bytes_in_use": used}) for used in (2e9, 3e9)]
    monkeypatch.setattr(jax, "local_devices", lambda: chips)
    assert Throughput(CONFIG, schema_of()).rates([Lap(10, 2, 0)])["peak_gigabytes"] == 3


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    return clock


def _step(account: Goodput, clock, seconds: float, waits: float = 0.0) -> None:
    with account.waiting():
        clock.now += waits
    clock.now += seconds
    account.step_done(frames=8)


def test_lost_time_is_no_part_of_the_next_step(clock):
    account = Goodput()
    _step(account, clock, 30)
    for name, seconds in (("evaluation", 100), ("saving", 50)):
        with account.lost_to(name):
            clock.now += seconds
    _step(account, clock, 2, waits=1)
    assert list(account.window) == [Lap(8, 3, 1)]
    assert account.seconds == {"compile": 30, "steps": 2, "data": 1, "evaluation": 100, "saving": 50}
    assert account.shares()["goodput"] == 2 / 183
    assert str(account) == "1% of 183 s were steps; compile 30 s, data 1 s, evaluation 100 s, saving 50 s"


def test_a_step_that_has_long_finished_has_no_speed_of_its_own(clock):
    """The host notices two steps late and at once: the second seems to take no time."""
    account = Goodput()
    _step(account, clock, 30)
    for seconds in (1.0, 1.0, 1.999, 0.001):
        _step(account, clock, seconds)
    assert sum(lap.frames for lap in account.window) / sum(lap.seconds for lap in account.window) == pytest.approx(8)


def test_rates_are_of_the_last_steps(clock):
    account = Goodput()
    for number in range(WINDOW + 3):
        _step(account, clock, number + 1.0)
    assert [lap.seconds for lap in account.window] == [float(number + 4) for number in range(WINDOW)]
