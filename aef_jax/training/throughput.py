"""How fast a run is, in the units that people compare: frames, sequences, floating point operations, MFU."""

from dataclasses import replace
from typing import Any

import jax

from aef_jax.data.sampling.examples import DatasetSchema
from configs.batch import Batch
from configs.config import Config
from configs.flops import training_flops

PEAK_FLOPS = {
    "TPU v4": 275e12,
    "TPU v5 lite": 197e12,
    "TPU v5e": 197e12,
    "TPU v5": 459e12,
    "TPU v6 lite": 918e12,
    "TPU v6e": 918e12,
    "NVIDIA A100": 312e12,
    "NVIDIA H100": 989e12,
    "NVIDIA H100 PCIe": 756e12,
    "NVIDIA H100 NVL": 835e12,
    "NVIDIA H200": 989e12,
    "NVIDIA H200 NVL": 835e12,
}
"""Of one device in dense bfloat16, by the beginning of its kind's name, of which the longest counts; from the makers'
data sheets. (float32 has less, but is held to the same: MFU is a share of what the device could do.)

NVIDIA's tables (https://www.nvidia.com/en-us/data-center/h100 and h200; PCIe: its white paper on the H100) give twice
as much, with sparsity: 1979 for SXM, 1671 for NVL, 1513 for PCIe."""


def peak_flops(device_kind: str) -> float | None:
    """FLOPs per second of one device; None where it is not known, as for a CPU."""
    known = [kind for kind in PEAK_FLOPS if device_kind.startswith(kind)]
    return PEAK_FLOPS[max(known, key=len)] if known else None


def without_peak(device: Any) -> str:
    """What to say of an accelerator whose peak is not known; nothing of others, and of a CPU."""
    if device.platform == "cpu" or peak_flops(device.device_kind):
        return ""
    return f"the peak of a {device.device_kind} is not known here, so no MFU is told"


def peak_bytes() -> int:
    """The most memory that was in use on any device of this host; 0 where that is not known, as on a CPU."""
    return max((device.memory_stats() or {}).get("peak_bytes_in_use", 0) for device in jax.local_devices())


class Throughput:
    """Rates of training steps; all over the whole mesh."""

    def __init__(self, config: Config, schema: DatasetSchema):
        frames = {source.name: source.frame_budget for source in schema.input_sources}
        student = {source.name: source.student_budget for source in schema.input_sources}
        targets = tuple(source.name for source in schema.sources)
        # what is computed twice to save memory is no progress, and does not count (MFU's definition)
        once = replace(config, model=replace(config.model, remat="none"))
        self.flops = sum(training_flops(once, frames, student, targets, schema.text_width > 0).values())
        self.batch = config.training.batch
        peak = peak_flops(jax.devices()[0].device_kind)
        self.peak = peak and peak * jax.device_count()

    def rates(self, batch: Batch, seconds: float, waited: float) -> dict[str, float]:
        """Of one step that took so many seconds, of which it waited some for data; `batch` is this host's part.

        `frames_per_second` counts the frames that are present. `flops_per_second` and `mfu` count the absent ones too,
        which fill a batch up: they are masked, and the devices compute with them all the same. `peak_gigabytes` is the
        most memory of an accelerator of this host that was in use so far.
        """
        # of this host's sequences, some of which others may read too
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
