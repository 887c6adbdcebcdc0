"""The terms of the objective (paper, S4).

Only valid pixels count. An invalid pixel has no influence on value or gradient. A mean over no pixels is 0.

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
    """Compute f_i, the mean error of one source's reconstruction over all valid elements of the batch.

    The error is L1 for continuous bands and cross-entropy for classes. It is the smallest over shifts of up to
    `source.shift_invariant_m`, or computed on a grid of `source.regrid_m`. On that grid, a cell's error counts once for
    each valid pixel in it, so that a cell cut by the tile's edge has the weight of the pixels that it covers. A class
    index out of range is invalid.

    Args:
        source: the source.
        prediction: bands, or logits of classes.
        target: scaled and z-scored bands, or class indices.
        valid: pixels that have data.
        grid_offset: offset of the coarse grid, in pixels.

    Returns:
        The mean error.
    """
    if source.kind == "classes":
        valid = (valid & (target >= 0) & (target < source.classes))[..., None]
        # a class becomes a distribution, because a coarser cell may mix classes
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
    """Compute |prediction - target|, with gradient 0 where they are equal (the gradient of JAX's `abs` is 1 there).

    Args:
        prediction: predicted numbers.
        target: their targets.

    Returns:
        The error of each element.
    """
    difference = prediction - target
    return difference * jnp.sign(difference)


def cross_entropy(probabilities: Float[Array, "*B O"], target: Float[Array, "*B O"]) -> Float[Array, "*B 1"]:
    """Compute the cross-entropy of a distribution relative to another, in nats.

    Args:
        probabilities: the predicted distribution.
        target: the target distribution.

    Returns:
        The error of each pixel.
    """
    floor = jnp.finfo(probabilities.dtype).tiny
    return -jnp.sum(target * jnp.log(jnp.maximum(probabilities, floor)), axis=-1, keepdims=True)


def shift_invariant(
    error,
    prediction: Float[Array, "B H W O"],
    target: Float[Array, "B H W O"],
    weight: Bool[Array, "B H W V"] | Float[Array, "B H W V"],
    radius: int,
) -> Float[Array, ""]:
    """Compute the mean error of each sequence at its best planar shift, averaged over the batch.

    The error at a shift is averaged over the overlap, by weight. A shift whose overlap has no weight is excluded,
    because its error would be 0. Sequences count by their total weights.

    Args:
        error: error of each element, from a prediction and a target.
        prediction: predicted bands or distributions.
        target: their targets.
        weight: weight of each pixel, 0 where the target is invalid.
        radius: largest shift, in pixels.

    Returns:
        The mean error.
    """
    height, width = target.shape[1:3]
    around = ((0, 0), (radius, radius), (radius, radius), (0, 0))
    target, padded = jnp.pad(target, around), jnp.pad(weight, around)

    def at(down: int, right: int):
        window = (
            slice(None),
            slice(radius + down, radius + down + height),
            slice(radius + right, radius + right + width),
        )
        counted = padded[window]
        elements = jnp.where(counted > 0, error(prediction, target[window]) * counted, 0)
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
    """Average the valid pixels in the cells of a coarser grid.

    Args:
        x: pixels.
        valid: pixels that have data.
        side: side of a cell, in pixels.
        offset: offset of the grid from the tile, in [0, side).

    Returns:
        The average of each cell, 0 for an empty cell, and the number of valid pixels in it.
    """
    rows, columns = (_membership(x.shape[1 + axis], side, offset[:, axis], x.dtype) for axis in (0, 1))

    def total(pixels):
        # an accelerator's default precision would round every pixel before it is summed
        pixels = jnp.einsum("b i y, b y x c -> b i x c", rows, pixels, precision="highest")
        return jnp.einsum("b j x, b i x c -> b i j c", columns, pixels, precision="highest")

    count = total(valid.astype(x.dtype))
    return total(jnp.where(valid, x, 0)) / jnp.maximum(count, 1), count


def _membership(length: int, side: int, offset: Int[Array, "B"], dtype) -> Float[Array, "B I L"]:
    """Give 1 if pixel l is in cell i of the grid that begins `offset` pixels before the tile, else 0."""
    cells = -(-length // side) + 1
    return jax.nn.one_hot((jnp.arange(length) + offset[:, None]) // side, cells, axis=1, dtype=dtype)


def uniformity(mu: Float[Array, "B P H W D"]) -> Float[Array, ""]:
    """Compute mean |mu . mu'|, where mu' is the embedding of the same pixel in the next sequence: another place.

    Args:
        mu: embeddings.

    Returns:
        The mean.
    """
    cosine = jnp.sum(mu * jnp.roll(mu, 1, axis=0), axis=-1)
    return jnp.mean(l1(cosine, jnp.zeros_like(cosine)))


def consistency(teacher: Float[Array, "B H W D"], student: Float[Array, "B H W D"]) -> Float[Array, ""]:
    """Compute mean (1 - mu . mu_s) / 2 over the same valid period.

    Args:
        teacher: the teacher's embeddings mu.
        student: the student's embeddings mu_s.

    Returns:
        The mean.
    """
    return jnp.mean((1 - jnp.sum(teacher * student, axis=-1)) / 2)


def clip(
    mu: Float[Array, "B D"], text: Float[Array, "B D"], present: Bool[Array, "B"], temperature: float
) -> Float[Array, ""]:
    """Compute the CLIP loss between places and their texts (Radford et al. 2021).

    It is the mean of two cross-entropies of the cosines divided by `temperature`: of each place among all texts, and of
    each text among all places. Absent pairs have no influence on value or gradient. A single pair has no error.

    Args:
        mu: embeddings of places. B is the global batch; XLA gathers it from the devices of the mesh.
        text: embeddings of their texts.
        present: pairs that exist.
        temperature: divisor of the cosines.

    Returns:
        The mean over the present pairs.
    """
    mu, text = (jnp.where(present[:, None], x, 0) for x in (mu, text))
    # an accelerator's default precision would keep 3 digits of the cosines that the temperature divides
    logits = jnp.einsum("b d, c d -> b c", mu, text, precision="highest") / temperature
    # finite, so that the rows of absent pairs are finite too
    logits = jnp.where(present[:, None] & present, logits, jnp.finfo(logits.dtype).min)
    rows, columns = (jnp.diagonal(jax.nn.log_softmax(logits, axis=axis)) for axis in (1, 0))
    errors = jnp.where(present, -(rows + columns) / 2, 0)
    return jnp.sum(errors) / jnp.maximum(jnp.sum(present, dtype=errors.dtype), 1)
