"""Adam on clipped gradients, with a linear warm-up and decay of the learning rate (paper, S4).

The paper names Adam and this schedule. Clipping, weight decay and the skipping of non-finite steps are ours.

Mirror: aef_torch/training/optimizer.py.
"""

import math
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.tree_util import DictKey
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int

from configs.training import TrainingConfig

DECAYED = frozenset({"kernel", "embedding"})
"""Names of the arrays that weight decay applies to. Biases and the scales of norms do not decay."""


def learning_rate(config: TrainingConfig) -> optax.Schedule:
    """Make the schedule: linear from 0 to the peak in `warmup_steps`, then linear to 0 at `steps` (paper, S4).

    The remaining steps are counted down as whole numbers. `1 - count / steps` in float32 would be wrong by half a per
    cent at the last of 100,000 steps.

    Args:
        config: the settings of training.

    Returns:
        The learning rate as a function of the number of steps done.
    """

    def at(count: ArrayLike) -> Float[Array, ""]:
        done = jnp.asarray(count, jnp.result_type(float))  # float64 if JAX has it enabled, as reference runs do
        left = jnp.maximum(config.steps - done, 0) / (config.steps - config.warmup_steps)
        up = done / config.warmup_steps if config.warmup_steps else jnp.ones_like(done)
        return config.learning_rate * jnp.minimum(up, left)

    return at


def make_optimizer(config: TrainingConfig) -> optax.GradientTransformationExtraArgs:
    """Make Adam on clipped gradients, with decoupled weight decay (Loshchilov and Hutter, 2019) if there is any.

    Its `update` takes the argument `finite`. A step that is not finite is counted, and changes neither moments nor the
    learning rate. The state has the arrays of optax's Adam in `optax.apply_if_finite`, in the same order, with or
    without weight decay.

    Args:
        config: the settings of training.

    Returns:
        The optimizer.
    """
    decay = [optax.add_decayed_weights(config.weight_decay, decayed)] if config.weight_decay else []
    adam = optax.chain(scale_by_adam(), *decay, optax.scale_by_learning_rate(learning_rate(config)))
    return skip_unless_finite(optax.chain(optax.clip_by_global_norm(config.clip_norm), adam))


def skip_unless_finite(optimizer: optax.GradientTransformation) -> optax.GradientTransformationExtraArgs:
    """Skip non-finite steps, as `optax.apply_if_finite` does and with its state, but told whether the step is finite.

    Optax reads all gradients again to find out, and decides by a conditional, which writes every update to memory
    before parameters change. Selecting elementwise makes it one pass over parameters, moments and gradients.

    Args:
        optimizer: the optimizer of finite steps.

    Returns:
        The optimizer, whose `update` takes the argument `finite`.
    """

    def update(updates, state, params=None, *, finite: Bool[Array, ""]):
        state = cast(optax.ApplyIfFiniteState, state)
        moves, inner = optimizer.update(updates, state.inner_state, params)
        moves = jax.tree.map(lambda move: jnp.where(finite, move, jnp.zeros_like(move)), moves)
        inner = jax.tree.map(lambda new, old: jnp.where(finite, new, old), inner, state.inner_state)
        consecutive = jnp.where(finite, 0, optax.safe_increment(state.notfinite_count))
        total = jnp.where(finite, state.total_notfinite, optax.safe_increment(state.total_notfinite))
        return moves, optax.ApplyIfFiniteState(consecutive, finite, total, inner)

    init = optax.apply_if_finite(optimizer, max_consecutive_errors=0).init
    return optax.GradientTransformationExtraArgs(init, cast(Any, update))  # optax types extra arguments as Any


def scale_by_adam(b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> optax.GradientTransformation:
    """Make `optax.scale_by_adam` with the same state, but PyTorch's arithmetic (Kingma and Ba, 2015).

    The bias correction 1 - b**count is exact to the last bit, rounded once from float64. Optax computes it in float32,
    in which powers of 0.999 keep few digits of their distance from 1: it is off by 1e-5, and so are the first steps.
    The first moment moves by (1 - b1) (g - m), as in PyTorch.

    Args:
        b1: decay of the first moment.
        b2: decay of the second moment.
        eps: added to the root of the second moment.

    Returns:
        The transformation.
    """

    def update(updates: optax.Updates, state: optax.OptState, params: optax.Params | None = None):
        del params
        state = cast(optax.ScaleByAdamState, state)
        count = jnp.asarray(optax.safe_increment(state.count))
        mu = jax.tree.map(lambda m, g: m + (1 - b1) * (g - m), state.mu, updates)
        nu = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * (g * g), state.nu, updates)
        first, second = bias_correction(b1, count), bias_correction(b2, count)

        def scaled(m: Float[Array, "*N"], v: Float[Array, "*N"]) -> Float[Array, "*N"]:
            return m / first.astype(m.dtype) / (jnp.sqrt(v / second.astype(v.dtype)) + eps)

        return jax.tree.map(scaled, mu, nu), optax.ScaleByAdamState(count, mu, nu)

    return optax.GradientTransformation(optax.scale_by_adam(b1, b2, eps).init, update)


def bias_correction(decay: float, count: Int[Array, ""]) -> Float[Array, ""]:
    """Compute 1 - decay**count from a table made in float64, which ends where the value is 1.

    Args:
        decay: decay of a moment.
        count: steps done.

    Returns:
        The correction.
    """
    last = math.ceil(-37 / math.log(decay))  # e^-37 is less than half of float64's last digit of 1
    table = -np.expm1(np.arange(last + 1) * math.log(decay))
    return jnp.asarray(table)[jnp.minimum(count, last)]


def decayed(params: optax.Params) -> optax.Params:
    """Choose the parameters that weight decay applies to.

    Args:
        params: the parameters.

    Returns:
        The same tree, with True for arrays whose names are in DECAYED.
    """

    def has_name(path: tuple, _) -> bool:
        names = [key.key for key in path if isinstance(key, DictKey)]
        return names[-1] in DECAYED

    return jax.tree_util.tree_map_with_path(has_name, params)
