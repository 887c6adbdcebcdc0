"""Adam on clipped gradients, with a linear warm-up and decay of the learning rate (paper, S4).

The paper names Adam and this schedule. Clipping, weight decay and the skipping of non-finite steps are ours.

Mirror: aef_jax/training/optimizer.py.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from configs.training import TrainingConfig


def learning_rate(config: TrainingConfig) -> Callable[[int], float]:
    """Make the schedule: linear from 0 to the peak in `warmup_steps`, then linear to 0 at `steps` (paper, S4).

    Args:
        config: the settings of training.

    Returns:
        The learning rate as a function of the number of steps done.
    """

    def at(count: int) -> float:
        left = max(config.steps - count, 0) / (config.steps - config.warmup_steps)
        up = count / config.warmup_steps if config.warmup_steps else 1.0
        return config.learning_rate * min(up, left)

    return at


def make_optimizer(model: nn.Module, config: TrainingConfig) -> "AdamW":
    """Make Adam with decoupled weight decay. Gradients must be clipped before, and the learning rate set for each step.

    Vectors (biases and the scales of norms) do not decay.

    Args:
        model: the model whose parameters it updates.
        config: the settings of training.

    Returns:
        The optimizer.
    """
    kernels = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": kernels, "weight_decay": config.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return AdamW(groups, lr=0.0)


class AdamW(torch.optim.AdamW):
    """`torch.optim.AdamW` (Loshchilov and Hutter, 2019) that adds decay and Adam's step at once and rounds once.

    The state is the same. PyTorch's version first multiplies parameters by 1 - lr * weight_decay. For a small decay,
    that factor and the product keep few digits in float32: parameters are off by 2e-6 after 100 steps, ten times the
    other rounding, and a decay of less than 3e-8 per step has no effect.
    """

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """Update the parameters from their gradients.

        Args:
            closure: unused.
        """
        del closure
        groups = [group for group in self.param_groups if group["weight_decay"]]
        before = [[p.clone() for p in group["params"]] for group in groups]
        for group in groups:
            for parameter in group["params"]:
                parameter.zero_()  # the parameter then becomes Adam's step alone
        super().step()
        for group, parameters in zip(groups, before, strict=True):
            for parameter, old in zip(group["params"], parameters, strict=True):
                parameter.add_(old, alpha=-group["lr"] * group["weight_decay"]).add_(old)


def clip_by_global_norm(
    gradients: Sequence[Shaped[Tensor, "..."]], norm: Float[Tensor, ""], bound: float
) -> list[Shaped[Tensor, "..."]]:
    """Scale gradients down to a bound if their global norm is larger.

    The result has exactly the bound as its norm; `torch.nn.utils.clip_grad_norm_` adds 1e-6 to the norm.

    Args:
        gradients: the gradients.
        norm: their global norm.
        bound: largest norm.

    Returns:
        The scaled gradients.
    """
    return [g / norm * bound for g in gradients] if norm >= bound else list(gradients)
