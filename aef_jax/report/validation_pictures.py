"""Reconstruct every source of some validation examples, and draw them."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import jax
import numpy as np
from flax import nnx
from jaxtyping import Float32
from matplotlib.figure import Figure

from aef_jax.console.dates import format_date
from aef_jax.data.loading.pipeline import stack
from aef_jax.data.sampling.examples import DatasetSchema
from aef_jax.data.sampling.validation import ValidationExample, evaluated_source
from aef_jax.evaluation.validation import reconstruct_from_mu
from aef_jax.sharding.compiler_options import compiler_options
from aef_jax.sharding.mesh import single_device_mesh
from aef_jax.training.step import abstract_model
from aef_jax.visualize.field_colors import principal_axes
from aef_jax.visualize.pictures import NO_DATA_COLOR
from aef_jax.visualize.reconstructions import Reconstruction, draw_reconstructions, mean_error
from configs.config import Config

MAPS_PER_ROW = 4


class ReconstructedExample(NamedTuple):
    """A validation example, and what the model makes of it."""

    example: ValidationExample
    predictions: dict[str, Float32[np.ndarray, "H W O"]]
    """Reconstruction of each source; logits of classes."""
    embedding: Float32[np.ndarray, "H W D"]
    """Embedding field of the whole support period."""


def reconstruct_examples(
    config: Config, params: nnx.State, examples: Iterable[ValidationExample]
) -> list[ReconstructedExample]:
    """Reconstruct all sources of examples, one by one, on a single device.

    Args:
        config: of the run.
        params: of the model.
        examples: all of the same shapes.

    Returns:
        The results, in the order of the examples.
    """
    graph, _ = abstract_model(config)
    reconstruct = jax.jit(
        lambda params, batch: reconstruct_from_mu(nnx.merge(graph, params), batch, config)[:2],
        compiler_options=compiler_options(single_device_mesh()),
    )
    results = []
    for example in examples:
        predictions, embeddings = jax.device_get(reconstruct(params, stack([example.batch])))
        by_source = {name: prediction[0] for name, prediction in predictions.items()}
        results.append(ReconstructedExample(example, by_source, embeddings[0]))
    return results


def draw_sources(results: Sequence[ReconstructedExample], schema: DatasetSchema, rows: int) -> dict[str, Figure | None]:
    """Draw the reconstructions of each source.

    Args:
        results: of validation examples.
        schema: of the data set.
        rows: examples of a source that are drawn, at most.

    Returns:
        A figure by source name; None if no example shows the source.
    """
    figures = {}
    for source in schema.sources:
        drawn = []
        for number, result in enumerate(results, start=1):
            target = result.example.batch.targets[source.name]
            if len(drawn) == rows or not target.valid.any():
                continue
            row = Reconstruction("", target.pixels, result.predictions[source.name], target.valid)
            date = format_date(result.example.time_ms) if source.name == evaluated_source(schema).name else ""
            lines = [f"example {number}", f"error {mean_error(row):.2f}", *([date] if date else [])]
            drawn.append(Reconstruction("\n".join(lines), *(target.pixels, row.reconstruction, target.valid)))
        figures[source.name] = draw_reconstructions(drawn, source, schema.normalization) if drawn else None
    return figures


def draw_embeddings(results: Sequence[ReconstructedExample]) -> Figure:
    """Draw the embedding fields of examples in the colors of their common principal components.

    Args:
        results: of validation examples, at least one.

    Returns:
        The figure. Equal colors mean similar embeddings, also between examples.
    """
    every = np.concatenate([result.embedding.reshape(-1, result.embedding.shape[-1]) for result in results])
    colors, _ = principal_axes(every[np.isfinite(every).all(axis=-1)])
    lines = -(-len(results) // MAPS_PER_ROW)
    figure = Figure(figsize=(2.6 * MAPS_PER_ROW, 2.8 * lines + 0.4), layout="constrained")
    grid = figure.subplots(lines, MAPS_PER_ROW, squeeze=False).ravel()
    for number, (axes, result) in enumerate(zip(grid, results, strict=False), start=1):
        axes.set_facecolor(NO_DATA_COLOR)
        painted = colors.paint(result.embedding)
        opaque = np.isfinite(painted).all(axis=-1)
        axes.imshow(np.dstack([np.nan_to_num(painted), opaque]), interpolation="nearest")
        axes.set(xticks=[], yticks=[])
        axes.set_title(f"example {number}", fontsize=10, loc="left")
    for axes in grid[len(results) :]:
        axes.remove()
    names = ", ".join(f"{color}: {name}" for color, name in zip(("red", "green", "blue"), colors.names, strict=True))
    figure.suptitle(names, fontsize=9, x=0.01, ha="left")
    return figure
