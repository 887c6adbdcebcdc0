"""Adam on clipped gradients, and the course of its learning rate (paper, S4).

The paper names Adam and its course; clipping, weight decay and the skipping of steps that are not finite are ours.

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
"""Names of the arrays that weight decay pulls towards 0. Biases and the scales of norms it leaves alone."""


def learning_rate(config: TrainingConfig) -> optax.Schedule:
    """From 0 up to the peak in `warmup_steps`, then down to 0 at `steps`, both linearly (paper, S4).

    Of the number of steps done. Steps are counted down as whole numbers: `1 - count / steps` in float32 would leave the
    last of 100,000 steps half a per cent off.
    """

    def at(count: ArrayLike) -> Float[Array, ""]:
        done = jnp.asarray(count, jnp.result_type(float))  # float64 where JAX may use it, as an oracle needs
        left = jnp.maximum(config.steps - done, 0) / (config.steps - config.warmup_steps)
        up = done / config.warmup_steps if config.warmup_steps else jnp.ones_like(done)
        return config.learning_rate * jnp.minimum(up, left)

    return at


def make_optimizer(config: TrainingConfig) -> optax.GradientTransformationExtraArgs:
    """Adam on clipped gradients, with decoupled weight decay (Loshchilov and Hutter, 2019) where there is any.

    Its `update` is told as `finite` whether the step is; one that is not changes nothing, neither moments nor the
    course of the learning rate, and is counted. The arrays of the state, and their order, are those of optax's Adam
    within `optax.apply_if_finite`, with weight decay or without.
    """
    decay = [optax.add_decayed_weights(config.weight_decay, decayed)] if config.weight_decay else []
    adam = optax.chain(scale_by_adam(), *decay, optax.scale_by_learning_rate(learning_rate(config)))
    return skip_unless_finite(optax.chain(optax.clip_by_global_norm(config.clip_norm), adam))


def skip_unless_finite(optimizer: optax.GradientTransformation) -> optax.GradientTransformationExtraArgs:
    """`optax.apply_if_finite` with the same state, which is told whether a step is finite.

    Optax reads all gradients once more to see, and decides by a conditional, which writes every update to memory
    before a parameter moves. Chosen number by number, all is one pass over parameters, moments and gradients.
    """

    def update(updates, state, params=None, *, finite: Bool[Array, ""]):
        state = cast(optax.ApplyIfFiniteState, state)
        moves, inner = optimizer.update(updates, state.inner_state, params)
        moves = jax.tree.map(lambda move: jnp.where(finite, move, jnp.zeros_like(move)), moves)
        inner = jax.tree.map(lambda new, old: jnp.where(finite, new, old), inner, state.inner_state)
        in_a_row = jnp.where(finite, 0, optax.safe_increment(state.notfinite_count))
        total = jnp.where(finite, state.total_notfinite, optax.safe_increment(state.total_notfinite))
        return moves, optax.ApplyIfFiniteState(in_a_row, finite, total, inner)

    init = optax.apply_if_finite(optimizer, max_consecutive_errors=0).init
    return optax.GradientTransformationExtraArgs(init, cast(Any, update))  # optax types what it is told as **anything


def scale_by_adam(b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> optax.GradientTransformation:
    """`optax.scale_by_adam` with the same state, computed as `torch.optim.Adam` does (Kingma and Ba, 2015).

    The bias correction 1 - b**count is exact to the last bit, rounded once from float64. Optax computes it in float32,
    where 0.999 and its powers keep few digits of their distance from 1: it is off by 1e-5, and so are the first steps.
    The first moment moves by (1 - b1) (g - m), which is what PyTorch rounds.
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
    """1 - decay**count, out of a table that was made in float64 and ends where it is 1."""
    last = math.ceil(-37 / math.log(decay))  # e^-37 is less than half of float64's last digit of 1
    table = -np.expm1(np.arange(last + 1) * math.log(decay))
    return jnp.asarray(table)[jnp.minimum(count, last)]


def decayed(params: optax.Params) -> optax.Params:
    """The tree of `params` with True for what weight decay is for."""

    def has_name(path: tuple, _) -> bool:
        names = [key.key for key in path if isinstance(key, DictKey)]
        return names[-1] in DECAYED

    return jax.tree_util.tree_map_with_path(has_name, params)
