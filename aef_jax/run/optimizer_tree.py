"""The optimizer state as a tree by name: `mu` and `nu` by the parameters' paths, and scalars that count steps.

Optax keeps its state in nested NamedTuples, whose nesting depends on which transformations are chained. A checkpoint
keeps the names below instead, so no reader depends on optax's nesting.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import jax
import optax
from flax import nnx

MU, NU = "mu", "nu"
"""Adam's first and second moments, each a tree like that of the parameters."""
COUNT, SCHEDULE_COUNT = "count", "schedule_count"
"""Steps of Adam and of the schedule, which are those that were not skipped."""
NOTFINITE_COUNT, LAST_FINITE, TOTAL_NOTFINITE = "notfinite_count", "last_finite", "total_notfinite"
"""Steps skipped in a row, whether the last step was finite, and all skipped steps."""

_NAMES: dict[type, dict[str, str]] = {
    optax.ApplyIfFiniteState: {
        "notfinite_count": NOTFINITE_COUNT,
        "last_finite": LAST_FINITE,
        "total_notfinite": TOTAL_NOTFINITE,
    },
    optax.ScaleByAdamState: {"count": COUNT, "mu": MU, "nu": NU},
    optax.ScaleByScheduleState: {"count": SCHEDULE_COUNT},
}
"""The name of each field in the tree. Fields that are not listed hold other states."""

COUNTERS_V1 = {
    f"{kind.__name__}.{field}": name
    for kind, fields in _NAMES.items()
    for field, name in fields.items()
    if name not in (MU, NU)
}
"""Names of the scalars in weights that were converted from version 1 of the format, and their names in the tree."""


def optimizer_tree(state: optax.OptState) -> dict[str, Any]:
    """Name the parts of an optimizer state.

    Args:
        state: state of `make_optimizer`; its leaves may be anything.

    Returns:
        `mu` and `nu` as nested dicts, and the scalars, by the names above.

    Raises:
        ValueError: the state holds an array that has no name, or two of the same name.
    """
    tree: dict[str, Any] = {}
    for name, value in _named(state):
        if name in tree:
            raise ValueError(f"the optimizer state holds {name} more than once: it has no names to be saved by")
        tree[name] = nnx.to_pure_dict(value) if isinstance(value, nnx.State) else value
    if len(jax.tree.leaves(tree)) != len(jax.tree.leaves(state)):
        raise ValueError(f"the optimizer state holds more than {sorted(tree)}: the rest has no names to be saved by")
    return tree


def fill_optimizer(like: optax.OptState, tree: dict[str, Any]) -> optax.OptState:
    """Put a tree that `optimizer_tree` made back into optax's state.

    Args:
        like: a state of the same optimizer, possibly abstract.
        tree: the named parts.

    Returns:
        A state with the structure of `like` and the leaves of `tree`.
    """
    positions = jax.tree.leaves(_positions(like))
    leaves = dict(zip(positions, jax.tree.leaves(tree), strict=True))
    return jax.tree.unflatten(jax.tree.structure(like), [leaves[position] for position in range(len(leaves))])


def tree_from_leaves(like: optax.OptState, leaves: Sequence[Any]) -> dict[str, Any]:
    """Name the leaves that version 1 of the checkpoint format saved as a flat list.

    Args:
        like: a state of the same optimizer, possibly abstract.
        leaves: the leaves in optax's order.

    Returns:
        The tree that `optimizer_tree` makes of such a state.
    """
    return jax.tree.map(lambda position: leaves[position], _positions(like))


def _positions(like: optax.OptState) -> dict[str, Any]:
    """Return the tree of names whose leaves are positions in optax's order."""
    structure = jax.tree.structure(like)
    return optimizer_tree(jax.tree.unflatten(structure, range(structure.num_leaves)))


def _named(node: Any) -> Iterator[tuple[str, Any]]:
    names = _NAMES.get(type(node), {})
    if not isinstance(node, tuple | list):
        return
    fields = getattr(node, "_fields", range(len(node)))
    for field, child in zip(fields, node, strict=True):
        if field in names:
            yield names[field], child
        else:
            yield from _named(child)
