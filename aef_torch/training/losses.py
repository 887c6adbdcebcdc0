"""The terms of the objective (paper, S4).

Only valid pixels count: what lies at an invalid one has no influence, on value or gradient. A mean over nothing is 0.

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
    """f_i: the mean error of one source's reconstruction over all valid elements of the batch.

    L1 or cross-entropy, under the source's `shift_invariant_m`, or on its `regrid_m` grid moved by `grid_offset`: there
    a cell's error counts once for each valid pixel in it, so that a sliver at the tile's edge weighs what it covers.
    A class that the source has not is invalid.
    """
    if source.kind == "classes":
        valid = (valid & (target >= 0) & (target < source.classes))[..., None]
        # a class becomes a distribution, so that a coarser cell can hold a mixture of classes
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
    """|prediction - target|, with gradient 0 where they are equal."""
    return torch.abs(prediction - target)


def cross_entropy(probabilities: Float[Tensor, "*B O"], target: Float[Tensor, "*B O"]) -> Float[Tensor, "*B 1"]:
    """Cross-entropy of one distribution relative to another, in nats."""
    floor = torch.finfo(probabilities.dtype).tiny
    return -torch.sum(target * torch.log(probabilities.clamp(min=floor)), dim=-1, keepdim=True)


def shift_invariant(
    error,
    prediction: Float[Tensor, "B H W O"],
    target: Float[Tensor, "B H W O"],
    weight: Bool[Tensor, "B H W V"] | Float[Tensor, "B H W V"],
    radius: int,
) -> Float[Tensor, ""]:
    """The mean error of each sequence at its best planar shift of up to `radius` pixels, over the batch.

    The error at a shift is averaged by `weight`, 0 where the target is invalid, over what still overlaps; where nothing
    does, that shift is not in the running, or it would be a perfect fit. Sequences count by their total weights.
    """
    height, width = target.shape[1:3]
    around = (0, 0, radius, radius, radius, radius)  # from the last axis to the first
    target, padded = functional.pad(target, around), functional.pad(weight, around)

    def at(down: int, right: int):
        here = (
            slice(None),
            slice(radius + down, radius + down + height),
            slice(radius + right, radius + right + width),
        )
        counted = padded[here]
        elements = torch.where(counted > 0, error(prediction, target[here]) * counted, 0)
        # finite, so that a sequence with nothing valid can be weighted by 0
        worst = torch.finfo(elements.dtype).max
        total = torch.sum(counted, dim=(1, 2, 3), dtype=elements.dtype)
        return torch.where(total > 0, torch.sum(elements, dim=(1, 2, 3)) / total.clamp(min=1), worst)

    steps = range(-radius, radius + 1)
    shifts = [(down, right) for down in steps for right in steps if down**2 + right**2 <= radius**2]
    # amin shares the gradient among equals, as JAX does; min would give all of it to one of them
    best = torch.stack([at(*shift) for shift in shifts]).amin(dim=0)
    totals = torch.sum(weight, dim=(1, 2, 3), dtype=best.dtype)
    return torch.sum(best * totals) / torch.sum(totals).clamp(min=1)


def regrid(
    x: Float[Tensor, "B H W C"], valid: Bool[Tensor, "B H W V"], side: int, offset: Int[Tensor, "B 2"]
) -> tuple[Float[Tensor, "B Y X C"], Float[Tensor, "B Y X V"]]:
    """Averages of the valid pixels in cells of `side` pixels, and how many these are; an empty cell's average is 0.

    The grid is moved by `offset` in [0, side).
    """
    rows, columns = (_membership(x.shape[1 + axis], side, offset[:, axis], x.dtype) for axis in (0, 1))

    def total(pixels):
        pixels = torch.einsum("b i y, b y x c -> b i x c", rows, pixels)
        return torch.einsum("b j x, b i x c -> b i j c", columns, pixels)

    count = total(valid.to(x.dtype))
    return total(torch.where(valid, x, 0)) / count.clamp(min=1), count


def _membership(length: int, side: int, offset: Int[Tensor, "B"], dtype: torch.dtype) -> Float[Tensor, "B I L"]:
    """1 where pixel l belongs to cell i of the grid that begins `offset` pixels before the tile."""
    cells = -(-length // side) + 1
    cell = (torch.arange(length, device=offset.device) + offset[:, None]) // side
    return _one_hot(cell, cells).mT.to(dtype)


def uniformity(mu: Float[Tensor, "B P H W D"]) -> Float[Tensor, ""]:
    """mean |mu . mu'|, mu' the embedding of the same pixel in the next sequence of the batch: another place."""
    cosine = torch.sum(mu * torch.roll(mu, 1, dims=0), dim=-1)
    return torch.mean(l1(cosine, torch.zeros_like(cosine)))


def consistency(teacher: Float[Tensor, "B H W D"], student: Float[Tensor, "B H W D"]) -> Float[Tensor, ""]:
    """mean (1 - mu . mu_s) / 2 over the same valid period."""
    return torch.mean((1 - torch.sum(teacher * student, dim=-1)) / 2)


def clip(
    mu: Float[Tensor, "B D"], text: Float[Tensor, "B D"], present: Bool[Tensor, "B"], temperature: float
) -> Float[Tensor, ""]:
    """CLIP: each present place finds its text among all present ones, and each text its place (Radford et al. 2021).

    The mean of both cross-entropies of the cosines over `temperature`. B is the global batch. An absent pair has no
    influence, on value or gradient; one pair alone has no error.
    """
    mu, text = (torch.where(present[:, None], x, 0) for x in (mu, text))
    logits = torch.einsum("b d, c d -> b c", mu, text) / temperature
    # finite, so that the rows of the absent are too
    logits = torch.where(present[:, None] & present, logits, torch.finfo(logits.dtype).min)
    rows, columns = (torch.diagonal(torch.log_softmax(logits, dim=dim)) for dim in (1, 0))
    errors = torch.where(present, -(rows + columns) / 2, 0)
    return torch.sum(errors) / torch.sum(present, dtype=errors.dtype).clamp(min=1)


def _one_hot(index: Int[Tensor, "*B"], number: int) -> Bool[Tensor, "*B O"]:
    """All False where the index is out of range, as in JAX; PyTorch's own would raise at an invalid pixel's class."""
    return index[..., None] == torch.arange(number, device=index.device)
