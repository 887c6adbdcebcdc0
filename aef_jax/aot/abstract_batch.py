"""Describe the global batch of a training step by shapes and dtypes, with all sources and texts and without data."""

from jax.sharding import AbstractMesh, Mesh

from aef_jax.data.sampling.absent import absent_example
from aef_jax.sharding import placement
from configs.batch import Batch
from configs.config import Config


def abstract_batch(config: Config, mesh: Mesh | AbstractMesh) -> Batch:
    """Return the batch that the pipeline would put on the devices for data with all sources and texts.

    Args:
        config: of the training run.
        mesh: that the batch is split over.

    Returns:
        A batch whose leaves are jax.ShapeDtypeStruct with their shardings.
    """
    return placement.abstract_batch(absent_example(config), config.training.batch, mesh)
