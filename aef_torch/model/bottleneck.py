"""The bottleneck: in training, decoders see a von Mises-Fisher (vMF) sample around mu.

Mirror: aef_jax/model/bottleneck.py.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from aef_torch.model.layers import unit
from configs.batch import BottleneckNoise
from configs.encodings.vmf_quantile import MAX_SIGMA, radial_coefficients


def sample_noise(generator: torch.Generator, shape: tuple[int, ...], dimension: int, kappa: float) -> BottleneckNoise:
    """Draw the noise of independent samples of vMF(., kappa) on the sphere in R^dimension, in float32.

    The radial part w has density ~ exp(kappa w) (1 - w^2)^((dimension - 3) / 2). 1 - w is its quantile at a normal
    number, up to float32 rounding, so no draw is rejected. (Ours; the paper says only that the sample is vMF.)

    Args:
        generator: random state; the noise is made on its device.
        shape: shape of the samples, without the axis of the embedding.
        dimension: channels of an embedding.
        kappa: concentration of the distribution.

    Returns:
        The radial part, and a normal vector from which the direction is made.
    """
    return BottleneckNoise(
        radial=radial_quantile(_normal(generator, shape), dimension, kappa),
        direction=_normal(generator, (*shape, dimension)),
    )


def von_mises_fisher(mean: Float[Tensor, "*B D"], noise: BottleneckNoise) -> Float[Tensor, "*B D"]:
    """Make the sample around a mean direction from noise. Gradients reach the mean.

    Args:
        mean: unit vectors.
        noise: noise from `sample_noise`.

    Returns:
        Unit vectors in the dtype of the mean.
    """
    noise = BottleneckNoise(*(x.to(mean.dtype) for x in noise))
    tangent = unit(noise.direction - torch.sum(noise.direction * mean, dim=-1, keepdim=True) * mean)
    along, across = 1 - noise.radial, torch.sqrt(noise.radial * (2 - noise.radial))
    return along[..., None] * mean + across[..., None] * tangent


def radial_quantile(z: Float[Tensor, "*N"], dimension: int, kappa: float) -> Float[Tensor, "*N"]:
    """Compute 1 - w at a quantile of the radial distribution.

    Args:
        z: standard normal numbers; the quantile is at probability ndtr(z).
        dimension: channels of an embedding.
        kappa: concentration of the distribution.

    Returns:
        1 - w, the distance from the mean along the mean, in [0, 2].
    """
    first, *others = radial_coefficients(dimension, kappa)
    u = torch.clip(z / MAX_SIGMA, -1, 1)
    total, before = torch.zeros_like(u), torch.zeros_like(u)
    for coefficient in reversed(others):  # Clenshaw's recurrence
        total, before = coefficient + 2 * u * total - before, total
    return torch.clip(torch.exp(first + u * total - before), max=2)


def _normal(generator: torch.Generator, shape: tuple[int, ...]) -> Float[Tensor, "*N"]:
    return torch.randn(shape, generator=generator, device=generator.device)
