"""The bottleneck: in training, decoders see a von Mises-Fisher sample around mu (mirror: aef_torch/bottleneck.py)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from aef_jax.layers import unit
from configs.batch import BottleneckNoise


def sample_noise(key: Array, shape: tuple[int, ...], dimension: int, kappa: float) -> BottleneckNoise:
    """Draws the noise of `shape` independent samples of vMF(., kappa) on the sphere in R^dimension, in float32.

    The radial part w has density ~ exp(kappa w) (1 - w^2)^((dimension - 3) / 2). With x = 1 - w that is a Gamma density
    of shape (dimension - 1) / 2 times (1 - x/2)^((dimension - 3) / 2), so x is drawn from the Gamma distribution that
    touches it from above and accepted with the ratio: exact, and nearly always at once where kappa is large. Drawing x
    and not w keeps all digits of 1 - w. (Ours; the paper says only that the sample is vMF.)
    """
    radial_key, direction_key = jax.random.split(key)
    return BottleneckNoise(
        radial=_radial(radial_key, shape, dimension, kappa),
        direction=jax.random.normal(direction_key, (*shape, dimension), jnp.float32),
    )


def von_mises_fisher(mean: Float[Array, "*B D"], noise: BottleneckNoise) -> Float[Array, "*B D"]:
    """The sample that `noise` makes around the unit vector `mean`, in the dtype of it; gradients reach `mean`."""
    noise = BottleneckNoise(*(x.astype(mean.dtype) for x in noise))
    tangent = unit(noise.direction - jnp.sum(noise.direction * mean, axis=-1, keepdims=True) * mean)
    along, across = 1 - noise.radial, jnp.sqrt(noise.radial * (2 - noise.radial))
    return along[..., None] * mean + across[..., None] * tangent


def _radial(key: Array, shape: tuple[int, ...], dimension: int, kappa: float) -> Float[Array, "*N"]:
    power = (dimension - 3) / 2
    rate = kappa + power / 2

    def propose(state):
        key, x, waiting = state
        key, gamma_key, accept_key = jax.random.split(key, 3)
        proposal = _gamma(gamma_key, shape, dimension - 1) / rate
        inside = proposal < 2
        half = jnp.where(inside, proposal, 0) / 2
        uniform = jax.random.uniform(accept_key, shape, jnp.float32)
        accepted = inside & (jnp.log(uniform) < power * (jnp.log1p(-half) + half))
        return key, jnp.where(waiting & accepted, proposal, x), waiting & ~accepted

    start = key, jnp.zeros(shape, jnp.float32), jnp.ones(shape, bool)
    return jax.lax.while_loop(lambda state: state[2].any(), propose, start)[1]


def _gamma(key: Array, shape: tuple[int, ...], degrees: int) -> Float[Array, "*N"]:
    """Of shape `degrees` / 2: a sum of exponentials, and half a squared normal where that is no whole number.

    `jax.random.gamma` loops until the last number of all devices is accepted, and in each round they all wait for it.
    """
    exponential_key, normal_key = jax.random.split(key)
    x = jnp.sum(jax.random.exponential(exponential_key, (*shape, degrees // 2), jnp.float32), axis=-1)
    return x + jnp.square(jax.random.normal(normal_key, shape, jnp.float32)) / 2 if degrees % 2 else x
