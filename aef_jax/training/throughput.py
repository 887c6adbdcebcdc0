"""Measure the speed of a run in comparable units: frames, sequences, floating point operations, MFU."""

from dataclasses import replace
from typing import Any

import jax

from aef_jax.data.sampling.examples import DatasetSchema
from aef_jax.training.accelerators import peak_flops
from configs.batch import Batch
from configs.config import Config
from configs.flops import training_flops


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

    def rates(self, batch: Batch, seconds: float, waited: float) -> dict[str, float]:
        """Compute the rates of one step.

        Args:
            batch: this host's part of the global batch.
            seconds: duration of the step.
            waited: seconds of these in which the step waited for data.

        Returns:
            Rates by name. `frames_per_second` counts only the frames that are present. `flops_per_second` and `mfu`
            also count the absent frames that fill up a batch: they are masked, but the devices compute them. `mfu` is a
            share of the bfloat16 peak, for float32 too. `peak_gigabytes` is the most memory of one accelerator of this
            host that has been in use.
        """
        # scaled from this host's sequences; other hosts may read some of them too
        own = sum(int(frames.present.sum()) for frames in batch.frames.values())
        frames = own * self.batch / len(batch.shared_period)
        flops = self.flops * self.batch / seconds
        rates = {
            "frames_per_second": frames / seconds,
            "sequences_per_second": self.batch / seconds,
            "flops_per_second": flops,
            "waiting_for_data": waited / seconds,
        }
        if self.peak:
            rates["mfu"] = flops / self.peak
        if memory := peak_bytes():
            rates["peak_gigabytes"] = memory / 1e9
        return rates
