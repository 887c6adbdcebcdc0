"""The bottleneck: in training, decoders see a von Mises-Fisher sample around mu.

Mirror: aef_jax/model/bottleneck.py.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from aef_torch.model.layers import unit
from configs.batch import BottleneckNoise
from configs.encodings.vmf_quantile import MAX_SIGMA, radial_coefficients


def sample_noise(generator: torch.Generator, shape: tuple[int, ...], dimension: int, kappa: float) -> BottleneckNoise:
    """Draws the noise of `shape` independent samples of vMF(., kappa) on the sphere in R^dimension, in float32.

    The radial part w has density ~ exp(kappa w) (1 - w^2)^((dimension - 3) / 2), and 1 - w is its quantile at a normal
    number, up to the rounding of float32: nothing is drawn twice. (Ours; the paper says only that the sample is vMF.)
    The noise lies on the generator's device.
    """
    return BottleneckNoise(
        radial=radial_quantile(_normal(generator, shape), dimension, kappa),
        direction=_normal(generator, (*shape, dimension)),
    )


def von_mises_fisher(mean: Float[Tensor, "*B D"], noise: BottleneckNoise) -> Float[Tensor, "*B D"]:
    """The sample that `noise` makes around the unit vector `mean`, in the dtype of it; gradients reach `mean`."""
    noise = BottleneckNoise(*(x.to(mean.dtype) for x in noise))
    tangent = unit(noise.direction - torch.sum(noise.direction * mean, dim=-1, keepdim=True) * mean)
    along, across = 1 - noise.radial, torch.sqrt(noise.radial * (2 - noise.radial))
    return along[..., None] * mean + across[..., None] * tangent


def radial_quantile(z: Float[Tensor, "*N"], dimension: int, kappa: float) -> Float[Tensor, "*N"]:
    """1 - w of the samples that are no farther from the mean than a share ndtr(z) of all."""
    first, *others = radial_coefficients(dimension, kappa)
    u = torch.clip(z / MAX_SIGMA, -1, 1)
    total, before = torch.zeros_like(u), torch.zeros_like(u)
    for coefficient in reversed(others):  # Clenshaw's recurrence
        total, before = coefficient + 2 * u * total - before, total
    return torch.clip(torch.exp(first + u * total - before), max=2)


def _normal(generator: torch.Generator, shape: tuple[int, ...]) -> Float[Tensor, "*N"]:
    return torch.randn(shape, generator=generator, device=generator.device)
