"""Plain versions of the losses, element by element in float64, for the tests of either framework.

An image is a dictionary from places (row, column, band) to numbers, or from (row, column) to distributions over
classes. Invalid elements are left out.
"""

from collections import defaultdict
from itertools import product

import numpy as np
from scipy.special import logsumexp, softmax, xlogy

from configs.source import Source

Image = dict[tuple[int, ...], np.ndarray]


def reconstruction_error(source: Source, *batch: np.ndarray) -> float:
    """Compute the error of a batch. Each sequence's error counts by its valid elements."""
    errors, counts = zip(*(sequence_error(source, *arrays) for arrays in zip(*batch, strict=True)), strict=True)
    return np.dot(errors, counts) / max(sum(counts), 1)


def sequence_error(
    source: Source, prediction: np.ndarray, target: np.ndarray, valid: np.ndarray, offset: np.ndarray
) -> tuple[float, int]:
    """Compute the error of one sequence at its best shift, and count its valid elements."""
    prediction = prediction.astype(np.float64)
    if source.kind == "classes":
        prediction, target = softmax(prediction, axis=-1), target[..., None] == np.arange(source.classes)
    if source.regrid_m:
        # a cell's error counts at each of its valid pixels
        seen, wanted = (coarse(image(x, valid), int(source.regrid_m) // 10, offset) for x in (prediction, target))
    else:
        seen, wanted = image(prediction, np.ones_like(valid)), image(target, valid)
    means = [np.mean(errors) for errors in map(list, shifted_errors(source, seen, wanted)) if errors]
    return min(means, default=0), len(wanted)


def image(x: np.ndarray, valid: np.ndarray) -> Image:
    return {place: x[place].astype(np.float64) for place in np.ndindex(*valid.shape) if valid[place]}


def cells(pixels: Image, side: int, offset: np.ndarray) -> dict[tuple[int, ...], list[tuple[int, ...]]]:
    """Collect the places in each cell of a grid that begins `offset` pixels before the tile."""
    members = defaultdict(list)
    for row, column, *band in pixels:
        members[((row + offset[0]) // side, (column + offset[1]) // side, *band)].append((row, column, *band))
    return members


def cell_means(pixels: Image, side: int, offset: np.ndarray) -> Image:
    return {
        cell: np.mean([pixels[place] for place in places], axis=0)
        for cell, places in cells(pixels, side, offset).items()
    }


def coarse(pixels: Image, side: int, offset: np.ndarray) -> Image:
    """Replace each pixel by the mean of its cell."""
    means = cell_means(pixels, side, offset)
    return {place: means[cell] for cell, places in cells(pixels, side, offset).items() for place in places}


def shifts(meters: float) -> list[tuple[int, int]]:
    """List the planar shifts of whole 10 m pixels up to a length."""
    steps = range(-int(meters // 10), int(meters // 10) + 1)
    return [shift for shift in product(steps, steps) if 10 * np.hypot(*shift) <= meters]


def shifted_errors(source: Source, prediction: Image, target: Image):
    """Give, for each shift, the errors where both images overlap."""
    for down, right in shifts(source.shift_invariant_m):
        moved = {(row + down, column + right, *band): value for (row, column, *band), value in prediction.items()}
        yield (error(source, moved[place], target[place]) for place in target.keys() & moved.keys())


def error(source: Source, prediction: np.ndarray, target: np.ndarray) -> float:
    return np.sum(-xlogy(target, prediction)) if source.kind == "classes" else np.abs(prediction - target)


def clip(mu: np.ndarray, text: np.ndarray, present: np.ndarray, temperature: float) -> float:
    """Compute both cross-entropies of the present pairs alone."""
    mu, text = mu[present], text[present]
    pairs = range(len(mu))
    logits = np.array([[np.vdot(mu[i], text[j]) / temperature for j in pairs] for i in pairs])
    errors = [logsumexp(logits[i]) + logsumexp(logits[:, i]) - 2 * logits[i, i] for i in pairs]
    return float(np.mean(errors)) / 2 if errors else 0.0
