"""An example of a site without any data, with the shapes of every other example."""

import numpy as np

from aef_jax.data.sampling.inputs import no_frames, no_student
from aef_jax.data.sampling.targets import encode_period, no_target
from configs.batch import Batch, Text
from configs.config import Config
from configs.encodings.timecode import DAY_MS


def absent_example(config: Config) -> Batch:
    """Make one example with all sources and text absent, as the pipeline would.

    Args:
        config: gives the sources, the tile's side and whether there is text.

    Returns:
        One sequence, without a batch axis.
    """
    side, rng = config.data.tile_side, np.random.default_rng(0)
    support = 0, config.data.support_days * DAY_MS
    targets = {source.name: no_target(source, side, support, config, rng)[0] for source in config.decoded_sources}
    text = Text(
        sentence=np.zeros(config.model.text_width, np.float32),
        pixel=np.zeros(2, np.int32),
        period=encode_period(support),
        present=np.asarray(False),
    )
    return Batch(
        frames={source.name: no_frames(source, side).frames for source in config.input_sources},
        student={source.name: no_student(source) for source in config.input_sources},
        targets=targets,
        shared_period=encode_period(support),
        text=text if config.has_text and config.objective.text else None,
    )
