"""The bottleneck: in training, decoders see a von Mises-Fisher sample around mu (mirror: aef_torch/bottleneck.py)."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from aef_jax.layers import unit
from configs.batch import BottleneckNoise


def sample_noise(key: Array, shape: tuple[int, ...], dimension: int, kappa: float) -> BottleneckNoise:
    """Draws the noise of `shape` independent samples of vMF(., kappa) on the sphere in R^dimension, in float32.

    The radial part w has density ~ exp(kappa w) (1 - w^2)^((dimension - 3) / 2). With x = 1 - w that is a Gamma density
    of shape (dimension - 1) / 2 times (1 - x/2)^((dimension - 3) / 2), so x is drawn from the Gamma distribution that
    touches it from above, by Marsaglia and Tsang's proposal (2000), and accepted with the product of both ratios:
    exact, and nearly always at once where kappa is large. Drawing x and not w keeps all digits of 1 - w. (Ours; the
    paper says only that the sample is vMF.)
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
    mode = (dimension - 1) / 2 - 1 / 3  # of Marsaglia and Tsang: the Gamma variable is about `mode`, times a cube

    def propose(state):
        key, x, waiting = state
        key, normal_key, accept_key = jax.random.split(key, 3)
        normal = jax.random.normal(normal_key, shape, jnp.float32)
        cube = (1 + normal / math.sqrt(9 * mode)) ** 3
        proposal = mode * cube / rate
        inside = (cube > 0) & (proposal < 2)
        cube, half = jnp.where(inside, cube, 1), jnp.where(inside, proposal, 0) / 2
        gamma = jnp.square(normal) / 2 + mode * (1 - cube + jnp.log(cube))
        ratio = gamma + power * (jnp.log1p(-half) + half)
        accepted = inside & (jnp.log(jax.random.uniform(accept_key, shape, jnp.float32)) < ratio)
        return key, jnp.where(waiting & accepted, proposal, x), waiting & ~accepted

    start = key, jnp.zeros(shape, jnp.float32), jnp.ones(shape, bool)
    return jax.lax.while_loop(lambda state: state[2].any(), propose, start)[1]
