"""The bottleneck: in training, decoders see a von Mises-Fisher (vMF) sample around mu.

Mirror: aef_torch/model/bottleneck.py.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from aef_jax.model.layers import unit
from configs.batch import BottleneckNoise
from configs.encodings.vmf_quantile import MAX_SIGMA, radial_coefficients


def sample_noise(key: Array, shape: tuple[int, ...], dimension: int, kappa: float) -> BottleneckNoise:
    """Draw the noise of independent samples of vMF(., kappa) on the sphere in R^dimension, in float32.

    The radial part w has density ~ exp(kappa w) (1 - w^2)^((dimension - 3) / 2). 1 - w is its quantile at a normal
    number, up to float32 rounding, so no draw is rejected. (Ours; the paper says only that the sample is vMF.)

    Args:
        key: random key.
        shape: shape of the samples, without the axis of the embedding.
        dimension: channels of an embedding.
        kappa: concentration of the distribution.

    Returns:
        The radial part, and a normal vector from which the direction is made.
    """
    radial_key, direction_key = jax.random.split(key)
    return BottleneckNoise(
        radial=radial_quantile(jax.random.normal(radial_key, shape, jnp.float32), dimension, kappa),
        direction=jax.random.normal(direction_key, (*shape, dimension), jnp.float32),
    )


def von_mises_fisher(mean: Float[Array, "*B D"], noise: BottleneckNoise) -> Float[Array, "*B D"]:
    """Make the sample around a mean direction from noise. Gradients reach the mean.

    Args:
        mean: unit vectors.
        noise: noise from `sample_noise`.

    Returns:
        Unit vectors in the dtype of the mean.
    """
    noise = BottleneckNoise(*(x.astype(mean.dtype) for x in noise))
    tangent = unit(noise.direction - jnp.sum(noise.direction * mean, axis=-1, keepdims=True) * mean)
    along, across = 1 - noise.radial, jnp.sqrt(noise.radial * (2 - noise.radial))
    return along[..., None] * mean + across[..., None] * tangent


def radial_quantile(z: Float[Array, "*N"], dimension: int, kappa: float) -> Float[Array, "*N"]:
    """Compute 1 - w at a quantile of the radial distribution.

    Args:
        z: standard normal numbers; the quantile is at probability ndtr(z).
        dimension: channels of an embedding.
        kappa: concentration of the distribution.

    Returns:
        1 - w, the distance from the mean along the mean, in [0, 2].
    """
    first, *others = radial_coefficients(dimension, kappa)
    u = jnp.clip(z / MAX_SIGMA, -1, 1)
    total, before = jnp.zeros_like(u), jnp.zeros_like(u)
    for coefficient in reversed(others):  # Clenshaw's recurrence
        total, before = coefficient + 2 * u * total - before, total
    return jnp.minimum(jnp.exp(first + u * total - before), 2)
