"""The optimizer state is saved by name, and states that were saved as a list get the same names."""

from dataclasses import replace

import jax
import numpy as np
import optax
import pytest

from aef_jax.run.optimizer_tree import fill_optimizer, optimizer_tree, tree_from_leaves
from aef_jax.sharding.mesh import make_mesh
from aef_jax.training.step import abstract_state
from tests.aef_jax.conftest import BRIEF
from tests.support.refusals import error_message


def numbered(weight_decay: float):
    """A state whose leaves are their positions in optax's order."""
    config = replace(BRIEF, training=replace(BRIEF.training, weight_decay=weight_decay))
    structure = jax.tree.structure(abstract_state(config, make_mesh(config.mesh)).optimizer)
    return jax.tree.unflatten(structure, range(structure.num_leaves))


@pytest.mark.parametrize("weight_decay", [0, 0.1])
def test_a_state_has_names_and_is_filled_from_them(weight_decay):
    state = numbered(weight_decay)
    tree = optimizer_tree(state)
    scalars = {"count", "schedule_count", "notfinite_count", "last_finite", "total_notfinite"}
    assert tree.keys() == scalars | {"mu", "nu"}
    assert all(isinstance(tree[name], int) for name in scalars)
    assert jax.tree.structure(tree["mu"]) == jax.tree.structure(tree["nu"])
    moved = jax.tree.map(lambda position: 2 * position, tree)
    filled = fill_optimizer(state, moved)
    assert jax.tree.structure(filled) == jax.tree.structure(state)
    assert jax.tree.leaves(filled) == [2 * position for position in jax.tree.leaves(state)]


def test_names_do_not_depend_on_weight_decay():
    assert jax.tree.structure(optimizer_tree(numbered(0))) == jax.tree.structure(optimizer_tree(numbered(0.1)))


def test_a_list_of_version_1_gets_the_same_names():
    state = numbered(0)
    leaves = [10 * position for position in jax.tree.leaves(state)]
    tree = tree_from_leaves(state, leaves)
    assert jax.tree.leaves(fill_optimizer(state, tree)) == leaves


def test_a_state_without_names_is_refused():
    momentum = optax.sgd(0.1, momentum=0.9).init({"weight": np.ones(3)})
    assert "holds more than []" in error_message(optimizer_tree, momentum)
    twice = optax.chain(optax.scale_by_adam(), optax.scale_by_adam()).init({"weight": np.ones(3)})
    assert "holds count more than once" in error_message(optimizer_tree, twice)
