"""Adam on clipped gradients, and the course of its learning rate (paper, S4).

The paper names Adam and its course; clipping, weight decay and the skipping of steps that are not finite are ours.

Mirror: aef_jax/training/optimizer.py.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from configs.training import TrainingConfig


def learning_rate(config: TrainingConfig) -> Callable[[int], float]:
    """From 0 up to the peak in `warmup_steps`, then down to 0 at `steps`, both linearly (paper, S4).

    Of the number of steps done.
    """

    def at(count: int) -> float:
        left = max(config.steps - count, 0) / (config.steps - config.warmup_steps)
        up = count / config.warmup_steps if config.warmup_steps else 1.0
        return config.learning_rate * min(up, left)

    return at


def make_optimizer(model: nn.Module, config: TrainingConfig) -> "AdamW":
    """Adam with decoupled weight decay, for gradients that are clipped; who steps it sets the learning rate.

    Biases and the scales of norms, vectors all of them, do not decay.
    """
    kernels = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": kernels, "weight_decay": config.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return AdamW(groups, lr=0.0)


class AdamW(torch.optim.AdamW):
    """`torch.optim.AdamW` (Loshchilov and Hutter, 2019) with the same state, but that decay and Adam's step are added
    to a parameter at once, and rounded once.

    PyTorch's multiplies by 1 - lr * weight_decay first. Of a small decay that factor and the product keep few digits in
    float32: parameters are off by 2e-6 after 100 steps, ten times what else is rounded, and a decay of less than 3e-8 a
    step does nothing at all.
    """

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        del closure
        groups = [group for group in self.param_groups if group["weight_decay"]]
        before = [[p.clone() for p in group["params"]] for group in groups]
        for group in groups:
            for parameter in group["params"]:
                parameter.zero_()  # it neither decays nor is rounded, and becomes Adam's step alone
        super().step()
        for group, kept in zip(groups, before, strict=True):
            for parameter, old in zip(group["params"], kept, strict=True):
                parameter.add_(old, alpha=-group["lr"] * group["weight_decay"]).add_(old)


def clip_by_global_norm(
    gradients: Sequence[Shaped[Tensor, "..."]], norm: Float[Tensor, ""], bound: float
) -> list[Shaped[Tensor, "..."]]:
    """Gradients of a larger global `norm` than `bound`, scaled down to it.

    To exactly it: `torch.nn.utils.clip_grad_norm_` adds 1e-6 to the norm it divides by.
    """
    return [g / norm * bound for g in gradients] if norm >= bound else list(gradients)
