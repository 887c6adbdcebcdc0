"""The training example of a site that has nothing, which has the shapes of any other."""

import numpy as np

from aef_jax.data.sampling.inputs import no_frames
from aef_jax.data.sampling.targets import encode_period, no_target
from configs.batch import Batch, Text
from configs.config import Config
from configs.encodings.timecode import DAY_MS


def absent_example(config: Config) -> Batch:
    """One sequence, without the batch's axis: what the pipeline itself makes where all sources and texts are absent."""
    side, rng = config.data.tile_side, np.random.default_rng(0)
    support = 0, config.data.support_days * DAY_MS
    inputs = {source.name: no_frames(source, side) for source in config.input_sources}
    targets = {source.name: no_target(source, side, support, config, rng)[0] for source in config.decoded_sources}
    text = Text(
        sentence=np.zeros(config.model.text_width, np.float32),
        pixel=np.zeros(2, np.int32),
        period=encode_period(support),
        present=np.asarray(False),
    )
    return Batch(
        frames={name: frames for name, (frames, _) in inputs.items()},
        student={name: student for name, (_, student) in inputs.items()},
        targets=targets,
        shared_period=encode_period(support),
        text=text if config.has_text and config.objective.text else None,
    )
