"""Tell that data have another processing level than those that a run was trained on."""

from collections.abc import Mapping
from pathlib import Path

from aef_jax.data.loading.training_data import LEVELS
from aef_jax.run.format import DATA_KEY, RUN
from aef_jax.run.steps import read_json_item, reading
from configs.serialization.printable import printable_value


def level_warning(checkpoints: Path, step: int, levels: Mapping[str, str], where: str) -> str:
    """Compare the processing levels of data with those of a run's training data.

    Args:
        checkpoints: the run's folder of checkpoints.
        step: of the checkpoint.
        levels: of the data, by source; a source of unknown level is not compared.
        where: names the data.

    Returns:
        A sentence that names the sources whose levels differ; empty if there are none.

    Raises:
        ValueError: the checkpoint is damaged.
    """
    with reading(checkpoints, step, {RUN}) as checkpoint:
        item = read_json_item(checkpoint, RUN) or {}
        trained = (item.get(DATA_KEY) or {}).get(LEVELS, {})
        differing = [name for name in levels if trained.get(name, levels[name]) != levels[name]]
    if not differing:
        return ""
    listed = ", ".join(f"{name} {printable_value(trained[name])} (here {levels[name]!r})" for name in differing)
    return f"{where} has other processing levels than the data that {checkpoints.parent} was trained on: {listed}"
