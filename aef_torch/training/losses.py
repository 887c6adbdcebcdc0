"""The terms of the objective (paper, S4).

Only valid pixels count. An invalid pixel has no influence on value or gradient. A mean over no pixels is 0.

Mirror: aef_jax/training/losses.py.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from configs.source import PIXEL_M, Source


def reconstruction_error(
    source: Source,
    prediction: Float[Tensor, "B H W O"],
    target: Float[Tensor, "B H W C"] | Int[Tensor, "B H W"],
    valid: Bool[Tensor, "B H W C"] | Bool[Tensor, "B H W"],
    grid_offset: Int[Tensor, "B 2"],
) -> Float[Tensor, ""]:
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
        target = _one_hot(target, source.classes)
        prediction = torch.softmax(prediction, dim=-1)
    target, weight = torch.where(valid, target, 0).to(prediction.dtype), valid
    if source.regrid_m:
        side = round(source.regrid_m / PIXEL_M)
        prediction, _ = regrid(prediction, valid, side, grid_offset)
        target, weight = regrid(target, valid, side, grid_offset)
    error = cross_entropy if source.kind == "classes" else l1
    return shift_invariant(error, prediction, target, weight, radius=round(source.shift_invariant_m / PIXEL_M))


def l1(prediction: Float[Tensor, "*B"], target: Float[Tensor, "*B"]) -> Float[Tensor, "*B"]:
    """Compute |prediction - target|, with gradient 0 where they are equal.

    Args:
        prediction: predicted numbers.
        target: their targets.

    Returns:
        The error of each element.
    """
    return torch.abs(prediction - target)


def cross_entropy(probabilities: Float[Tensor, "*B O"], target: Float[Tensor, "*B O"]) -> Float[Tensor, "*B 1"]:
    """Compute the cross-entropy of a distribution relative to another, in nats.

    Args:
        probabilities: the predicted distribution.
        target: the target distribution.

    Returns:
        The error of each pixel.
    """
    floor = torch.finfo(probabilities.dtype).tiny
    return -torch.sum(target * torch.log(probabilities.clamp(min=floor)), dim=-1, keepdim=True)


def shift_invariant(
    error,
    prediction: Float[Tensor, "B H W O"],
    target: Float[Tensor, "B H W O"],
    weight: Bool[Tensor, "B H W V"] | Float[Tensor, "B H W V"],
    radius: int,
) -> Float[Tensor, ""]:
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
    around = (0, 0, radius, radius, radius, radius)  # from the last axis to the first
    target, padded = functional.pad(target, around), functional.pad(weight, around)

    def at(down: int, right: int):
        window = (
            slice(None),
            slice(radius + down, radius + down + height),
            slice(radius + right, radius + right + width),
        )
        counted = padded[window]
        elements = torch.where(counted > 0, error(prediction, target[window]) * counted, 0)
        # finite, so that a sequence with nothing valid can be weighted by 0
        worst = torch.finfo(elements.dtype).max
        total = torch.sum(counted, dim=(1, 2, 3), dtype=elements.dtype)
        return torch.where(total > 0, torch.sum(elements, dim=(1, 2, 3)) / total.clamp(min=1), worst)

    steps = range(-radius, radius + 1)
    shifts = [(down, right) for down in steps for right in steps if down**2 + right**2 <= radius**2]
    # amin shares the gradient among equal shifts, as JAX does; min would give all of it to one
    best = torch.stack([at(*shift) for shift in shifts]).amin(dim=0)
    totals = torch.sum(weight, dim=(1, 2, 3), dtype=best.dtype)
    return torch.sum(best * totals) / torch.sum(totals).clamp(min=1)


def regrid(
    x: Float[Tensor, "B H W C"], valid: Bool[Tensor, "B H W V"], side: int, offset: Int[Tensor, "B 2"]
) -> tuple[Float[Tensor, "B Y X C"], Float[Tensor, "B Y X V"]]:
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
        pixels = torch.einsum("b i y, b y x c -> b i x c", rows, pixels)
        return torch.einsum("b j x, b i x c -> b i j c", columns, pixels)

    count = total(valid.to(x.dtype))
    return total(torch.where(valid, x, 0)) / count.clamp(min=1), count


def _membership(length: int, side: int, offset: Int[Tensor, "B"], dtype: torch.dtype) -> Float[Tensor, "B I L"]:
    """Give 1 if pixel l is in cell i of the grid that begins `offset` pixels before the tile, else 0."""
    cells = -(-length // side) + 1
    cell = (torch.arange(length, device=offset.device) + offset[:, None]) // side
    return _one_hot(cell, cells).mT.to(dtype)


def uniformity(mu: Float[Tensor, "B P H W D"]) -> Float[Tensor, ""]:
    """Compute mean |mu . mu'|, where mu' is the embedding of the same pixel in the next sequence: another place.

    Args:
        mu: embeddings.

    Returns:
        The mean.
    """
    cosine = torch.sum(mu * torch.roll(mu, 1, dims=0), dim=-1)
    return torch.mean(l1(cosine, torch.zeros_like(cosine)))


def consistency(teacher: Float[Tensor, "B H W D"], student: Float[Tensor, "B H W D"]) -> Float[Tensor, ""]:
    """Compute mean (1 - mu . mu_s) / 2 over the same valid period.

    Args:
        teacher: the teacher's embeddings mu.
        student: the student's embeddings mu_s.

    Returns:
        The mean.
    """
    return torch.mean((1 - torch.sum(teacher * student, dim=-1)) / 2)


def clip(
    mu: Float[Tensor, "B D"], text: Float[Tensor, "B D"], present: Bool[Tensor, "B"], temperature: float
) -> Float[Tensor, ""]:
    """Compute the CLIP loss between places and their texts (Radford et al. 2021).

    It is the mean of two cross-entropies of the cosines divided by `temperature`: of each place among all texts, and of
    each text among all places. Absent pairs have no influence on value or gradient. A single pair has no error.

    Args:
        mu: embeddings of places. B is the global batch.
        text: embeddings of their texts.
        present: pairs that exist.
        temperature: divisor of the cosines.

    Returns:
        The mean over the present pairs.
    """
    mu, text = (torch.where(present[:, None], x, 0) for x in (mu, text))
    logits = torch.einsum("b d, c d -> b c", mu, text) / temperature
    # finite, so that the rows of absent pairs are finite too
    logits = torch.where(present[:, None] & present, logits, torch.finfo(logits.dtype).min)
    rows, columns = (torch.diagonal(torch.log_softmax(logits, dim=dim)) for dim in (1, 0))
    errors = torch.where(present, -(rows + columns) / 2, 0)
    return torch.sum(errors) / torch.sum(present, dtype=errors.dtype).clamp(min=1)


def _one_hot(index: Int[Tensor, "*B"], number: int) -> Bool[Tensor, "*B O"]:
    """Give all False for an index out of range, as JAX does; PyTorch's `one_hot` raises."""
    return index[..., None] == torch.arange(number, device=index.device)
