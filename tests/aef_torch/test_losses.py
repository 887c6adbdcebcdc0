"""The objective's terms in PyTorch keep what they promise in every framework."""

from functools import partial

import torch
from loss_contract import LossContract

from aef_torch import losses


class TestLosses(LossContract):
    def value_and_gradient(self, name, *arrays, source=None):
        function = getattr(losses, name)
        x, *rest = map(torch.tensor, arrays)
        value = (function if source is None else partial(function, source))(x.requires_grad_(), *rest)
        (gradient,) = torch.autograd.grad(value, x)
        return value.detach().numpy(), gradient.numpy()

    def regrid(self, x, valid, side, offset):
        return tuple(
            tensor.numpy() for tensor in losses.regrid(*map(torch.tensor, (x, valid)), side, torch.tensor(offset))
        )
