"""How many parameters each operator has, by the names of configs/flops.py."""

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
    """Numbers of parameters of all blocks, decoders and so on; nothing is computed."""
    weights = dict.fromkeys(_OPERATORS.values(), 0)
    found: Counter[str] = Counter()
    for path, leaf in jax.tree_util.tree_leaves_with_path(abstract_model(config)[1]):
        names = tuple(key.key for key in path if isinstance(key, DictKey))
        found[next(operator for start, operator in _OPERATORS.items() if names[: len(start)] == start)] += leaf.size
    return weights | dict(found)
