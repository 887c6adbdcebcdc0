"""Count the parameters of each operator, by the operator names of configs/flops.py."""

from collections import Counter

import jax
from jax.tree_util import DictKey

from aef_jax.training.step import abstract_model
from configs.config import Config

_OPERATORS = {
    ("source_encoders",): "source encoders",
    ("encoder", "analysis"): "pyramid",
    ("encoder", "synthesis"): "pyramid",
    ("encoder", "blocks", "precision"): "precision",
    ("encoder", "blocks", "time"): "time",
    ("encoder", "blocks", "space"): "space",
    ("encoder", "blocks", "exchange"): "exchange",
    ("summary",): "summary",
    ("decoders",): "decoders",
    ("text_head",): "text head",
}


def operator_weights(config: Config) -> dict[str, int]:
    """Count the parameters of each operator over all blocks, from shapes alone.

    Args:
        config: of the model.

    Returns:
        The number of parameters of every operator, 0 for those that the model lacks.
    """
    weights = dict.fromkeys(_OPERATORS.values(), 0)
    counts: Counter[str] = Counter()
    for path, leaf in jax.tree_util.tree_leaves_with_path(abstract_model(config)[1]):
        names = tuple(key.key for key in path if isinstance(key, DictKey))
        counts[next(operator for start, operator in _OPERATORS.items() if names[: len(start)] == start)] += leaf.size
    return weights | dict(counts)
