"""The bottleneck: in training, decoders see a von Mises-Fisher sample around mu (mirror: aef_jax/bottleneck.py)."""

import torch
from jaxtyping import Float
from torch import Tensor

from aef_torch.layers import unit
from configs.batch import BottleneckNoise


def sample_noise(generator: torch.Generator, shape: tuple[int, ...], dimension: int, kappa: float) -> BottleneckNoise:
    """Draws the noise of `shape` independent samples of vMF(., kappa) on the sphere in R^dimension, in float32.

    The radial part w has density ~ exp(kappa w) (1 - w^2)^((dimension - 3) / 2). With x = 1 - w that is a Gamma density
    of shape (dimension - 1) / 2 times (1 - x/2)^((dimension - 3) / 2), so x is drawn from the Gamma distribution that
    touches it from above and accepted with the ratio: exact, and nearly always at once where kappa is large. Drawing x
    and not w keeps all digits of 1 - w. (Ours; the paper says only that the sample is vMF.)

    The noise lies on the generator's device.
    """
    return BottleneckNoise(
        radial=_radial(generator, shape, dimension, kappa),
        direction=_normal(generator, (*shape, dimension)),
    )


def von_mises_fisher(mean: Float[Tensor, "*B D"], noise: BottleneckNoise) -> Float[Tensor, "*B D"]:
    """The sample that `noise` makes around the unit vector `mean`, in the dtype of it; gradients reach `mean`."""
    noise = BottleneckNoise(*(x.to(mean.dtype) for x in noise))
    tangent = unit(noise.direction - torch.sum(noise.direction * mean, dim=-1, keepdim=True) * mean)
    along, across = 1 - noise.radial, torch.sqrt(noise.radial * (2 - noise.radial))
    return along[..., None] * mean + across[..., None] * tangent


def _radial(generator: torch.Generator, shape: tuple[int, ...], dimension: int, kappa: float) -> Float[Tensor, "*N"]:
    power = (dimension - 3) / 2
    rate = kappa + power / 2
    x = torch.zeros(shape, device=generator.device)
    waiting = torch.ones(shape, dtype=torch.bool, device=generator.device)
    while waiting.any():
        proposal = _gamma(generator, shape, dimension - 1) / rate
        inside = proposal < 2
        half = torch.where(inside, proposal, 0) / 2
        uniform = torch.rand(shape, generator=generator, device=generator.device)
        accepted = inside & (uniform.log() < power * (torch.log1p(-half) + half))
        x = torch.where(waiting & accepted, proposal, x)
        waiting = waiting & ~accepted
    return x


def _gamma(generator: torch.Generator, shape: tuple[int, ...], degrees: int) -> Float[Tensor, "*N"]:
    """Of shape `degrees` / 2: a sum of exponentials, and half a squared normal where that is no whole number.

    PyTorch's own sampler takes no generator.
    """
    exponentials = torch.empty((*shape, degrees // 2), device=generator.device).exponential_(generator=generator)
    x = exponentials.sum(-1)
    return x + _normal(generator, shape).square() / 2 if degrees % 2 else x


def _normal(generator: torch.Generator, shape: tuple[int, ...]) -> Float[Tensor, "*N"]:
    return torch.randn(shape, generator=generator, device=generator.device)
