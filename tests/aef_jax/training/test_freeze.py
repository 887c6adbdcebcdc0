"""Which parameters are frozen; training/test_course.py trains with some (row 1)."""

from dataclasses import replace

import jax
import numpy as np
import optax
import pytest
from flax import nnx
from flax.traverse_util import flatten_dict

import aef_torch.training.step
from aef_jax.training.freeze import freezer, require_freezable
from aef_jax.training.step import abstract_model
from parity.aef.model import abstract_torch
from tests.aef_jax.conftest import BRIEF
from tests.support.converting import SMALLEST
from tests.support.refusals import error_message

pytestmark = pytest.mark.usefixtures("quick_compiles")
PATTERNS = "encoder.*, *.key.kernel"


def flat(params) -> dict[str, np.ndarray]:
    return {".".join(path): np.asarray(leaf) for path, leaf in flatten_dict(nnx.to_pure_dict(params)).items()}


def freezing(patterns: str, config=BRIEF):
    return replace(config, training=replace(config.training, freeze=patterns))


@pytest.mark.slow
def test_frozen_gradients_have_no_part_in_the_norm():
    ones = jax.tree.map(lambda leaf: np.ones(leaf.shape, leaf.dtype), abstract_model(BRIEF)[1])
    sizes = {name: array.size for name, array in flat(ones).items() if not name.startswith("encoder.")}
    assert optax.tree.norm(freezer("encoder.*")(ones)) == pytest.approx(np.sqrt(sum(sizes.values())))
    assert freezer("")(ones) is ones


def test_patterns_that_freeze_nothing_or_everything_are_refused():
    params = abstract_model(BRIEF)[1]
    require_freezable(BRIEF, params)
    require_freezable(freezing(PATTERNS), params)
    refused = error_message(require_freezable, freezing("encoder.*,sumary.key.kernel"), params)
    assert refused == (
        "training.freeze: no parameter has a name like 'sumary.key.kernel'; did you mean summary.key.kernel?"
    )
    assert "nothing is left to train" in error_message(require_freezable, freezing("*"), params)


@pytest.mark.slow
def test_pytorch_refuses_to_train_what_is_frozen():
    config = freezing("encoder.*", SMALLEST)
    message = error_message(aef_torch.training.step.init_state, abstract_torch(config), config)
    assert message == "training.freeze is 'encoder.*', expected '': PyTorch's step freezes nothing"
