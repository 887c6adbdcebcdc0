"""Measure the speed of a run in comparable units, frames, sequences, FLOP/s and MFU, and where its time goes."""

import time
from collections import deque
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import jax

from aef_jax.data.sampling.examples import DatasetSchema
from aef_jax.training.accelerators import peak_flops
from configs.batch import Batch
from configs.config import Config
from configs.flops import training_flops

WINDOW = 20
"""Steps that rates are means over. A step is noticed when the host comes to it, so the time of one alone is chance."""


def unknown_peak_note(device: Any) -> str:
    """Say that MFU is left out because the peak of an accelerator is not known.

    Args:
        device: a jax.Device.

    Returns:
        One sentence; empty for a CPU and for an accelerator with a known peak.
    """
    if device.platform == "cpu" or peak_flops(device.device_kind):
        return ""
    return f"the peak FLOP/s of a {device.device_kind} is not known, so MFU is not reported"


def peak_bytes() -> int:
    """Return the most memory that has been in use on any device of this host.

    Returns:
        Bytes, or 0 if the devices do not report it, as on a CPU.
    """
    return max((device.memory_stats() or {}).get("peak_bytes_in_use", 0) for device in jax.local_devices())


class Lap(NamedTuple):
    """The time between two reports of steps, without what was spent otherwise."""

    frames: float
    seconds: float
    waited: float
    """Seconds of these in which the step waited for data."""


class Goodput:
    """Where the time goes since the state was restored. The first step is counted as `compile`."""

    def __init__(self):
        self.seconds: dict[str, float] = dict.fromkeys(("compile", "steps", "data", "evaluation", "saving"), 0.0)
        self.window: deque[Lap] = deque(maxlen=WINDOW)
        self._since, self._waited = time.perf_counter(), 0.0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count what happens within the context as waiting for data.

        Yields:
            Nothing.
        """
        begun = time.perf_counter()
        yield
        self._waited += time.perf_counter() - begun

    @contextmanager
    def lost_to(self, name: str) -> Iterator[None]:
        """Count what happens within the context under a name, and not as the time of the next step.

        Args:
            name: a key of `seconds`.

        Yields:
            Nothing.
        """
        begun = time.perf_counter()
        yield
        took = time.perf_counter() - begun
        self.seconds[name] += took
        self._since += took

    def step_done(self, frames: float) -> None:
        """End a lap.

        Args:
            frames: frames of the step's batch.
        """
        now = time.perf_counter()
        lap = Lap(frames, now - self._since, self._waited)
        self._since, self._waited = now, 0.0
        if not self.seconds["compile"]:
            self.seconds["compile"] = lap.seconds
            return
        self.window.append(lap)
        self.seconds["steps"] += lap.seconds - lap.waited
        self.seconds["data"] += lap.waited

    def shares(self) -> dict[str, float]:
        """Return the share of all time that was spent in steps, and the seconds of everything.

        Returns:
            `goodput`, 0 to 1, and `seconds/NAME`.
        """
        total = sum(self.seconds.values())
        return {
            "goodput": self.seconds["steps"] / total if total else 0.0,
            **{f"seconds/{name}": seconds for name, seconds in self.seconds.items()},
        }

    def __str__(self) -> str:
        others = ", ".join(f"{name} {s:.0f} s" for name, s in self.seconds.items() if name != "steps")
        return f"{self.shares()['goodput']:.0%} of {sum(self.seconds.values()):.0f} s were steps; {others}"


class Throughput:
    """Rates of training steps over the whole mesh.

    Args:
        config: of the training run.
        schema: of the data set; its sources determine what a step computes.
    """

    def __init__(self, config: Config, schema: DatasetSchema):
        frames = {source.name: source.frame_budget for source in schema.input_sources}
        student = {source.name: source.student_budget for source in schema.input_sources}
        targets = tuple(source.name for source in schema.sources)
        # MFU by definition does not count what is recomputed to save memory
        without_remat = replace(config, model=replace(config.model, remat="none"))
        self.flops = sum(training_flops(without_remat, frames, student, targets, schema.text_width > 0).values())
        self.batch = config.training.batch
        peak = peak_flops(jax.devices()[0].device_kind)
        self.peak = peak and peak * jax.device_count()

    def frames(self, batch: Batch) -> float:
        """Count the frames of a step that are present.

        Args:
            batch: this host's part of the global batch.

        Returns:
            Frames of the global batch, scaled from this host's sequences; other hosts may read some of them too.
        """
        own = sum(int(frames.present.sum()) for frames in batch.frames.values())
        return own * self.batch / len(batch.shared_period)

    def rates(self, laps: Collection[Lap]) -> dict[str, float]:
        """Compute the mean rates of some steps.

        Args:
            laps: their times; if there are none, there are no rates.

        Returns:
            Rates by name. `frames_per_second` counts only the frames that are present. `flops_per_second` and `mfu`
            also count the absent frames that fill up a batch: they are masked, but the devices compute them. `mfu` is a
            share of the bfloat16 peak, for float32 too. `peak_gigabytes` is the most memory of one accelerator of this
            host that has been in use.
        """
        if not laps:
            return {}
        seconds = sum(lap.seconds for lap in laps)
        flops = self.flops * self.batch * len(laps) / seconds
        rates = {
            "frames_per_second": sum(lap.frames for lap in laps) / seconds,
            "sequences_per_second": self.batch * len(laps) / seconds,
            "flops_per_second": flops,
            "waiting_for_data": sum(lap.waited for lap in laps) / seconds,
        }
        if self.peak:
            rates["mfu"] = flops / self.peak
        if memory := peak_bytes():
            rates["peak_gigabytes"] = memory / 1e9
        return rates
