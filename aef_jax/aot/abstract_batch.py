"""Describe the global batch of a training step by shapes and dtypes, with all sources and texts and without data."""

import jax
from jax.sharding import Mesh

from aef_jax.data.loading.pipeline import stack
from aef_jax.data.sampling.absent import absent_example
from aef_jax.sharding.mesh import SEQ, batch_shardings
from aef_jax.sharding.placement import fill_frames
from configs.batch import Batch
from configs.config import Config


def abstract_batch(config: Config, mesh: Mesh) -> Batch:
    """Return the batch that the pipeline would put on the devices for data with all sources and texts.

    Args:
        config: of the training run.
        mesh: that the batch is split over.

    Returns:
        A batch whose leaves are jax.ShapeDtypeStruct with their shardings.
    """
    example, sequences = fill_frames(stack([absent_example(config)]), mesh.shape[SEQ]), config.training.batch
    return jax.tree.map(
        lambda x, sharding: jax.ShapeDtypeStruct((sequences, *x.shape[1:]), x.dtype, sharding=sharding),
        example,
        batch_shardings(example, mesh),
    )
