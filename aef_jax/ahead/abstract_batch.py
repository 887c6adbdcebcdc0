"""The global batch of a training step as shapes and dtypes: all sources and texts, not one number."""

import jax
import numpy as np
from jax.sharding import Mesh

from aef_jax.data.inputs import no_frames
from aef_jax.data.pipeline import stack
from aef_jax.data.targets import code_of, no_target
from aef_jax.placement import fill_frames
from aef_jax.sharding import SEQ, batch_shardings
from configs.batch import Batch, Text
from configs.run import Config
from configs.timecode import DAY_MS


def abstract_batch(config: Config, mesh: Mesh) -> Batch:
    """What the pipeline would put on the devices of `mesh`, if the data held every source of the config and all texts.

    Every leaf is a jax.ShapeDtypeStruct with its sharding.
    """
    example, sequences = fill_frames(stack([_absent_example(config)]), mesh.shape[SEQ]), config.training.batch
    return jax.tree.map(
        lambda x, sharding: jax.ShapeDtypeStruct((sequences, *x.shape[1:]), x.dtype, sharding=sharding),
        example,
        batch_shardings(example, mesh),
    )


def _absent_example(config: Config) -> Batch:
    """One sequence of a site that has nothing: what the pipeline itself makes where a source is absent."""
    side, rng = config.data.tile_side, np.random.default_rng(0)
    support = 0, config.data.support_days * DAY_MS
    inputs = {source.name: no_frames(source, side) for source in config.input_sources}
    targets = {source.name: no_target(source, side, support, config, rng)[0] for source in config.decoded_sources}
    text = Text(
        sentence=np.zeros(config.model.text_width, np.float32),
        pixel=np.zeros(2, np.int32),
        period=code_of(support),
        present=np.asarray(False),
    )
    return Batch(
        frames={name: frames for name, (frames, _) in inputs.items()},
        student={name: student for name, (_, student) in inputs.items()},
        targets=targets,
        shared_period=code_of(support),
        text=text if config.has_text and config.objective.text else None,
    )
