"""The peak FLOP/s and the memory of accelerators, as their makers publish them."""

from dataclasses import dataclass

GIB, GB = 2**30, 10**9


@dataclass(frozen=True)
class Accelerator:
    """Published numbers of one device."""

    name: str
    device_kinds: tuple[str, ...]
    """Prefixes of `jax.Device.device_kind`."""
    peak_flops: float
    """Dense FLOP/s in bfloat16, summed in float32. XLA uses these units for float32 too, at its default precision."""
    source: str
    hbm_bytes: int | None = None
    """Memory of a TPU chip. None for GPUs, whose memory the device itself reports."""


_TPU_DOCS = "https://docs.cloud.google.com/tpu/docs/"
_NVIDIA = "https://www.nvidia.com/en-us/data-center/"

ACCELERATORS = {
    accelerator.name: accelerator
    for accelerator in (
        Accelerator("v4", ("TPU v4",), 275e12, f"{_TPU_DOCS}v4", 32 * GIB),
        Accelerator("v5e", ("TPU v5 lite", "TPU v5e"), 197e12, f"{_TPU_DOCS}v5e", 16 * GB),
        Accelerator("v5p", ("TPU v5",), 459e12, f"{_TPU_DOCS}v5p", 95 * GIB),
        Accelerator("v6e", ("TPU v6 lite", "TPU v6e"), 918e12, f"{_TPU_DOCS}v6e", 32 * GB),
        Accelerator("A100", ("NVIDIA A100",), 312e12, "NVIDIA's data sheet"),
        # NVIDIA's tables give twice as much, with sparsity: 1979 for SXM, 1671 for NVL, 1513 for PCIe
        Accelerator("H100 SXM", ("NVIDIA H100",), 989e12, f"{_NVIDIA}h100"),
        Accelerator("H100 PCIe", ("NVIDIA H100 PCIe",), 756e12, "NVIDIA's white paper on the H100"),
        Accelerator("H100 NVL", ("NVIDIA H100 NVL",), 835e12, f"{_NVIDIA}h100"),
        Accelerator("H200 SXM", ("NVIDIA H200",), 989e12, f"{_NVIDIA}h200"),
        Accelerator("H200 NVL", ("NVIDIA H200 NVL",), 835e12, f"{_NVIDIA}h200"),
    )
}


def peak_flops(device_kind: str) -> float | None:
    """Return the peak of a device. The accelerator with the longest matching prefix counts.

    Args:
        device_kind: `jax.Device.device_kind`.

    Returns:
        FLOP/s in dense bfloat16, or None for a device that is not in the table, such as a CPU.
    """
    matches = [
        (len(prefix), accelerator.peak_flops)
        for accelerator in ACCELERATORS.values()
        for prefix in accelerator.device_kinds
        if device_kind.startswith(prefix)
    ]
    return max(matches)[1] if matches else None
