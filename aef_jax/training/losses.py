"""The terms of the objective (paper, S4).

Only valid pixels count: what lies at an invalid one has no influence, on value or gradient. A mean over nothing is 0.

Mirror: aef_torch/training/losses.py.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from configs.source import PIXEL_M, Source


def reconstruction_error(
    source: Source,
    prediction: Float[Array, "B H W O"],
    target: Float[Array, "B H W C"] | Int[Array, "B H W"],
    valid: Bool[Array, "B H W C"] | Bool[Array, "B H W"],
    grid_offset: Int[Array, "B 2"],
) -> Float[Array, ""]:
    """f_i: the mean error of one source's reconstruction over all valid elements of the batch.

    L1 or cross-entropy, under the source's `shift_invariant_m`, or on its `regrid_m` grid moved by `grid_offset`: there
    a cell's error counts once for each valid pixel in it, so that a sliver at the tile's edge weighs what it covers.
    A class that the source has not is invalid.
    """
    if source.kind == "classes":
        valid = (valid & (target >= 0) & (target < source.classes))[..., None]
        # a class becomes a distribution, so that a coarser cell can hold a mixture of classes
        target = jax.nn.one_hot(target, source.classes, dtype=prediction.dtype)
        prediction = jax.nn.softmax(prediction)
    target, weight = jnp.where(valid, target, 0).astype(prediction.dtype), valid
    if source.regrid_m:
        side = round(source.regrid_m / PIXEL_M)
        prediction, _ = regrid(prediction, valid, side, grid_offset)
        target, weight = regrid(target, valid, side, grid_offset)
    error = cross_entropy if source.kind == "classes" else l1
    return shift_invariant(error, prediction, target, weight, radius=round(source.shift_invariant_m / PIXEL_M))


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
    weight: Bool[Array, "B H W V"] | Float[Array, "B H W V"],
    radius: int,
) -> Float[Array, ""]:
    """The mean error of each sequence at its best planar shift of up to `radius` pixels, over the batch.

    The error at a shift is averaged by `weight`, 0 where the target is invalid, over what still overlaps; where nothing
    does, that shift is not in the running, or it would be a perfect fit. Sequences count by their total weights.
    """
    height, width = target.shape[1:3]
    around = ((0, 0), (radius, radius), (radius, radius), (0, 0))
    target, padded = jnp.pad(target, around), jnp.pad(weight, around)

    def at(down: int, right: int):
        here = (
            slice(None),
            slice(radius + down, radius + down + height),
            slice(radius + right, radius + right + width),
        )
        counted = padded[here]
        elements = jnp.where(counted > 0, error(prediction, target[here]) * counted, 0)
        # finite, so that a sequence with nothing valid can be weighted by 0
        worst = jnp.finfo(elements.dtype).max
        total = jnp.sum(counted, axis=(1, 2, 3), dtype=elements.dtype)
        return jnp.where(total > 0, jnp.sum(elements, axis=(1, 2, 3)) / jnp.maximum(total, 1), worst)

    steps = range(-radius, radius + 1)
    shifts = [(down, right) for down in steps for right in steps if down**2 + right**2 <= radius**2]
    best = jnp.stack([at(*shift) for shift in shifts]).min(axis=0)
    totals = jnp.sum(weight, axis=(1, 2, 3), dtype=best.dtype)
    return jnp.sum(best * totals) / jnp.maximum(jnp.sum(totals), 1)


def regrid(
    x: Float[Array, "B H W C"], valid: Bool[Array, "B H W V"], side: int, offset: Int[Array, "B 2"]
) -> tuple[Float[Array, "B Y X C"], Float[Array, "B Y X V"]]:
    """Averages of the valid pixels in cells of `side` pixels, and how many these are; an empty cell's average is 0.

    The grid is moved by `offset` in [0, side).
    """
    rows, columns = (_membership(x.shape[1 + axis], side, offset[:, axis], x.dtype) for axis in (0, 1))

    def total(pixels):
        # sums of single pixels: an accelerator's default precision would round each of them first
        pixels = jnp.einsum("b i y, b y x c -> b i x c", rows, pixels, precision="highest")
        return jnp.einsum("b j x, b i x c -> b i j c", columns, pixels, precision="highest")

    count = total(valid.astype(x.dtype))
    return total(jnp.where(valid, x, 0)) / jnp.maximum(count, 1), count


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


def clip(
    mu: Float[Array, "B D"], text: Float[Array, "B D"], present: Bool[Array, "B"], temperature: float
) -> Float[Array, ""]:
    """CLIP: each present place finds its text among all present ones, and each text its place (Radford et al. 2021).

    The mean of both cross-entropies of the cosines over `temperature`. B is the global batch: an ordinary product here,
    which the mesh's devices gather. An absent pair has no influence, on value or gradient; one pair alone has no error.
    """
    mu, text = (jnp.where(present[:, None], x, 0) for x in (mu, text))
    # of cosines an accelerator's default precision would keep 3 digits, before they are divided by the temperature
    logits = jnp.einsum("b d, c d -> b c", mu, text, precision="highest") / temperature
    # finite, so that the rows of the absent are too
    logits = jnp.where(present[:, None] & present, logits, jnp.finfo(logits.dtype).min)
    rows, columns = (jnp.diagonal(jax.nn.log_softmax(logits, axis=axis)) for axis in (1, 0))
    errors = jnp.where(present, -(rows + columns) / 2, 0)
    return jnp.sum(errors) / jnp.maximum(jnp.sum(present, dtype=errors.dtype), 1)
