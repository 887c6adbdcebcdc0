"""The objective's terms in PyTorch meet the contract."""

from functools import partial

import torch

from aef_torch.training import losses
from tests.support.contracts.loss_contract import LossContract


class TestLosses(LossContract):
    def value_and_gradient(self, name, *arrays, source=None, by=0, **options):
        function = partial(getattr(losses, name), *() if source is None else (source,), **options)
        tensors = [torch.tensor(array) for array in arrays]
        value = function(*tensors[:by], tensors[by].requires_grad_(), *tensors[by + 1 :])
        (gradient,) = torch.autograd.grad(value, tensors[by])
        return value.detach().numpy(), gradient.numpy()

    def regrid(self, x, valid, side, offset):
        return tuple(
            tensor.numpy() for tensor in losses.regrid(*map(torch.tensor, (x, valid)), side, torch.tensor(offset))
        )
