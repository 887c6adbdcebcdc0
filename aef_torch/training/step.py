"""The training step: batch and noise in, parameters and moments changed (paper, S4).

Mirror: aef_jax/training/step.py.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from aef_torch.model.alphaearth import AlphaEarth
from aef_torch.training.objective import objective
from aef_torch.training.optimizer import AdamW, clip_by_global_norm, learning_rate, make_optimizer
from configs.batch import Batch, BottleneckNoise
from configs.config import Config

Terms = dict[str, Shaped[Tensor, ""]]
Objective = Callable[[AlphaEarth, Batch, BottleneckNoise, Config], tuple[Shaped[Tensor, ""], Terms]]


@dataclass
class TrainState:
    """All that a step changes. Model and optimizer are changed in place."""

    model: AlphaEarth
    optimizer: AdamW
    step: int
    skipped: int
    """How many of `step` steps were not finite; they changed neither parameters, moments nor the learning rate."""
    consecutive_skips: int


def init_state(model: AlphaEarth, config: Config) -> TrainState:
    """Make the state before the first step.

    Args:
        model: the model to train; its parameters may have any values and dtype.
        config: the config of the run.

    Returns:
        The state.

    Raises:
        ValueError: the config freezes parameters, which only JAX's step does.
    """
    if config.training.freeze:
        raise ValueError(f"training.freeze is {config.training.freeze!r}, expected '': PyTorch's step freezes nothing")
    return TrainState(model, make_optimizer(model, config.training), step=0, skipped=0, consecutive_skips=0)


def train_step(
    state: TrainState, batch: Batch, noise: BottleneckNoise, config: Config, objective: Objective = objective
) -> Terms:
    """Take one training step. All randomness is in the batch and the noise.

    A step whose loss or gradient is not finite is counted, and changes nothing.

    Args:
        state: the state, changed in place.
        batch: the data of the step.
        noise: the bottleneck's noise, of shape (B, P, H, W).
        config: the config of the run.
        objective: the objective, possibly compiled by `torch.compile`.

    Returns:
        The objective's terms, `gradient_norm` (before clipping), `learning_rate`, and `skipped` and `consecutive_skips`
        (this step included).
    """
    gradients, terms = _gradients(state.model, batch, noise, config, objective)
    norm = torch.nn.utils.get_total_norm(gradients)
    rate = learning_rate(config.training)(state.step - state.skipped)
    if torch.isfinite(terms["loss"]) and torch.isfinite(norm):
        _apply(state, clip_by_global_norm(gradients, norm, config.training.clip_norm), rate)
        state.consecutive_skips = 0
    else:
        state.skipped += 1
        state.consecutive_skips += 1
    state.step += 1
    terms["gradient_norm"], terms["learning_rate"] = norm, norm.new_tensor(rate)
    terms["skipped"], terms["consecutive_skips"] = torch.tensor(state.skipped), torch.tensor(state.consecutive_skips)
    return terms


def _apply(state: TrainState, gradients: list[Tensor], rate: float) -> None:
    for parameter, gradient in zip(state.model.parameters(), gradients, strict=True):
        parameter.grad = gradient
    for group in state.optimizer.param_groups:
        group["lr"] = rate
    state.optimizer.step()
    state.optimizer.zero_grad()


def _gradients(
    model: AlphaEarth, batch: Batch, noise: BottleneckNoise, config: Config, objective: Objective
) -> tuple[list[Float[Tensor, "..."]], Terms]:
    """Compute the loss's gradients and its terms, as means over `training.grad_accum_steps` parts of the batch."""
    number, parameters = config.training.grad_accum_steps, list(model.parameters())
    gradients, terms = [torch.zeros_like(p) for p in parameters], {}
    for part in range(number):
        # each part takes every n-th sequence, as in JAX, where each device then keeps some of its sequences
        loss, part_terms = objective(model, _part(batch, part, number), _part(noise, part, number), config)
        # a parameter without influence on the loss gets zeros, so that its moments decay
        part_gradients = torch.autograd.grad(loss, parameters, materialize_grads=True)
        gradients = [total + gradient for total, gradient in zip(gradients, part_gradients, strict=True)]
        terms = {name: terms.get(name, 0) + term.detach() for name, term in part_terms.items()}
    return [gradient / number for gradient in gradients], {name: term / number for name, term in terms.items()}


def _part(tree: Any, part: int, number: int) -> Any:
    """Take every `number`-th sequence from `part` on, of all tensors of a batch."""
    if tree is None:
        return None
    if isinstance(tree, Tensor):
        return tree[part::number]
    if isinstance(tree, dict):
        return {name: _part(branch, part, number) for name, branch in tree.items()}
    return type(tree)(*(_part(branch, part, number) for branch in tree))
