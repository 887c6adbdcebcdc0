"""Which settings of a run may change while it goes on; all others are fixed when it begins.

Settings that are not listed decide which examples are drawn, what is computed, or what a validation loss means, which
the checkpoints of one run must share.
"""

from dataclasses import asdict
from typing import Any

from configs.config import Config

OPERATIONAL = {
    "training.checkpoint_every": "how often to save",
    "training.keep_last": "checkpoints that are kept; fewer are deleted at the next save",
    "training.keep_every": "checkpoints that are kept for good from here",
    "training.evaluate_every": "how often to evaluate",
    "training.evaluate_labels": "what is evaluated beside the validation examples",
    "training.max_consecutive_skips": "when to give up",
    "data.path": "where the data lie; the data themselves are compared by what identifies them",
    "data.workers": "who reads examples; an example depends on its number alone",
    "data.threads": "who reads examples",
    "model.remat": "what is computed twice to save memory",
    "model.block_loop": "how the blocks are compiled",
    "mesh.data": "devices",
    "mesh.fsdp": "devices",
    "mesh.seq": "devices",
}
"""Settings that change no computed number, except in its rounding. They may differ in any command that resumes."""
SCHEDULE = {
    "training.steps": "the end of the run and of the schedule; not below the steps that are done",
    "training.learning_rate": "the peak of the schedule",
    "training.warmup_steps": "the rise of the schedule",
}
"""Settings of the learning rate's schedule. From the next step on, it is that of a run that always had them."""


def fixed_settings(config: Config, schedule_may_change: bool) -> dict[str, Any]:
    """Return the settings that two configs of one run must share.

    Args:
        config: any config.
        schedule_may_change: whether to leave out `SCHEDULE`, too.

    Returns:
        The config as nested dicts without what may change.
    """
    tree = asdict(config)
    for name in (*OPERATIONAL, *(SCHEDULE if schedule_may_change else ())):
        section, _, field = name.partition(".")
        del tree[section][field]
    return tree
