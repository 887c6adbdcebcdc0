"""The terms of the objective (paper, S4; mirror: aef_torch/losses.py).

Only valid pixels count: what lies at an invalid one has no influence, on value or gradient. A mean over nothing is 0.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from configs.source import Source

PIXEL_M = 10


def reconstruction_error(
    source: Source,
    prediction: Float[Array, "B H W O"],
    target: Float[Array, "B H W C"] | Int[Array, "B H W"],
    valid: Bool[Array, "B H W C"] | Bool[Array, "B H W"],
    grid_offset: Int[Array, "B 2"],
) -> Float[Array, ""]:
    """f_i: the mean error of one source's reconstruction over all valid elements of the batch.

    L1 or cross-entropy, under the source's `shift_invariant_m`, or on its `regrid_m` grid moved by `grid_offset`.
    """
    if source.kind == "classes":
        # a class becomes a distribution, so that a coarser cell can hold a mixture of classes
        target = jax.nn.one_hot(target, source.classes, dtype=prediction.dtype)
        prediction, valid = jax.nn.softmax(prediction), valid[..., None]
    target = jnp.where(valid, target, 0).astype(prediction.dtype)
    if source.regrid_m:
        side = round(source.regrid_m / PIXEL_M)
        prediction, _ = regrid(prediction, valid, side, grid_offset)
        target, valid = regrid(target, valid, side, grid_offset)
    error = cross_entropy if source.kind == "classes" else l1
    return shift_invariant(error, prediction, target, valid, radius=round(source.shift_invariant_m / PIXEL_M))


def l1(prediction: Float[Array, "*B"], target: Float[Array, "*B"]) -> Float[Array, "*B"]:
    """|prediction - target|, with gradient 0 where they are equal (JAX's own `abs` has 1 there)."""
    difference = prediction - target
    return difference * jnp.sign(difference)


def cross_entropy(probabilities: Float[Array, "*B O"], target: Float[Array, "*B O"]) -> Float[Array, "*B 1"]:
    """Cross-entropy of one distribution relative to another, in nats."""
    floor = jnp.finfo(probabilities.dtype).tiny
    return -jnp.sum(target * jnp.log(jnp.maximum(probabilities, floor)), axis=-1, keepdims=True)


def shift_invariant(
    error,
    prediction: Float[Array, "B H W O"],
    target: Float[Array, "B H W O"],
    valid: Bool[Array, "B H W V"],
    radius: int,
) -> Float[Array, ""]:
    """The mean error of each sequence at its best planar shift of up to `radius` pixels, over the batch.

    The error at a shift is averaged over the valid pixels that still overlap; where none does, that shift is not in the
    running, or it would be a perfect fit. Sequences count by their valid elements.
    """
    height, width = target.shape[1:3]
    around = ((0, 0), (radius, radius), (radius, radius), (0, 0))
    target, padded = jnp.pad(target, around), jnp.pad(valid, around)

    def at(down: int, right: int):
        here = (
            slice(None),
            slice(radius + down, radius + down + height),
            slice(radius + right, radius + right + width),
        )
        counted = padded[here]
        elements = jnp.where(counted, error(prediction, target[here]), 0)
        # finite, so that a sequence with nothing valid can be weighted by 0
        worst = jnp.finfo(elements.dtype).max
        return jnp.where(jnp.any(counted, axis=(1, 2, 3)), _mean(elements, counted), worst)

    steps = range(-radius, radius + 1)
    shifts = [(down, right) for down in steps for right in steps if down**2 + right**2 <= radius**2]
    best = jnp.stack([at(*shift) for shift in shifts]).min(axis=0)
    counts = jnp.sum(valid, axis=(1, 2, 3), dtype=best.dtype)
    return jnp.sum(best * counts) / jnp.maximum(jnp.sum(counts), 1)


def regrid(
    x: Float[Array, "B H W C"], valid: Bool[Array, "B H W V"], side: int, offset: Int[Array, "B 2"]
) -> tuple[Float[Array, "B Y X C"], Bool[Array, "B Y X V"]]:
    """Averages of the valid pixels in cells of `side` pixels, on a grid moved by `offset` in [0, side); empty is 0."""
    rows, columns = (_membership(x.shape[1 + axis], side, offset[:, axis], x.dtype) for axis in (0, 1))

    def total(pixels):
        # sums of single pixels: an accelerator's default precision would round each of them first
        pixels = jnp.einsum("b i y, b y x c -> b i x c", rows, pixels, precision="highest")
        return jnp.einsum("b j x, b i x c -> b i j c", columns, pixels, precision="highest")

    count = total(valid.astype(x.dtype))
    return total(jnp.where(valid, x, 0)) / jnp.maximum(count, 1), count > 0


def _membership(length: int, side: int, offset: Int[Array, "B"], dtype) -> Float[Array, "B I L"]:
    """1 where pixel l belongs to cell i of the grid that begins `offset` pixels before the tile."""
    cells = -(-length // side) + 1
    return jax.nn.one_hot((jnp.arange(length) + offset[:, None]) // side, cells, axis=1, dtype=dtype)


def uniformity(mu: Float[Array, "B P H W D"]) -> Float[Array, ""]:
    """mean |mu . mu'|, mu' the embedding of the same pixel in the next sequence of the batch: another place."""
    cosine = jnp.sum(mu * jnp.roll(mu, 1, axis=0), axis=-1)
    return jnp.mean(l1(cosine, jnp.zeros_like(cosine)))


def consistency(teacher: Float[Array, "B H W D"], student: Float[Array, "B H W D"]) -> Float[Array, ""]:
    """mean (1 - mu . mu_s) / 2 over the same valid period."""
    return jnp.mean((1 - jnp.sum(teacher * student, axis=-1)) / 2)


def _mean(elements: Float[Array, "B H W V"], valid: Bool[Array, "B H W V"]) -> Float[Array, "B"]:
    return jnp.sum(elements, axis=(1, 2, 3)) / jnp.maximum(jnp.sum(valid, axis=(1, 2, 3), dtype=elements.dtype), 1)
