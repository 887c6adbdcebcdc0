"""The layers of PyTorch, set once to what both frameworks share.

Every layer computes in the dtype of its input: parameters stay in theirs and are cast where they are used. So the
compute dtype is chosen where data enters the model, and nowhere else. Grids are channels-last, as in JAX.

Mirror: aef_jax/model/layers.py.
"""

# pyright: reportIncompatibleMethodOverride=false
# what a layer takes is called x here, as in JAX, and it takes nothing else

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


def _as_input(
    layer: nn.Linear | nn.LayerNorm | nn.Conv2d | nn.ConvTranspose2d, x: Tensor
) -> tuple[Tensor, Tensor | None]:
    """The layer's weight and bias, cast to the dtype of the input."""
    weight, bias = layer.weight, layer.bias
    return weight.to(x.dtype), None if bias is None else bias.to(x.dtype)


class Linear(nn.Linear):
    def __init__(self, inputs: int, outputs: int, bias: bool = True):
        super().__init__(inputs, outputs, bias)

    def reset_parameters(self):
        _initialise(self, taps=self.in_features)

    def forward(self, x: Float[Tensor, "*B I"]) -> Float[Tensor, "*B O"]:
        return functional.linear(x, *_as_input(self, x))


class LayerNorm(nn.LayerNorm):
    """Over the last axis, in at least float32."""

    def __init__(self, width: int):
        super().__init__(width, eps=1e-5)

    def forward(self, x: Float[Tensor, "*B C"]) -> Float[Tensor, "*B C"]:
        wide = at_least_float32(x)
        weight, bias = _as_input(self, wide)
        return functional.layer_norm(wide, self.normalized_shape, weight, bias, self.eps).to(x.dtype)


class Conv(nn.Conv2d):
    """A 3x3 convolution that keeps the grid."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs, 3, padding=1)

    def reset_parameters(self):
        _initialise(self, taps=self.in_channels * 3 * 3)

    def forward(self, x: Float[Tensor, "*B H W I"]) -> Float[Tensor, "*B H W O"]:
        weight, bias = _as_input(self, x)
        return _grids_last(functional.conv2d(_channels_first(x), weight, bias, padding=1), x)


class Down(nn.Conv2d):
    """A step of x2 down the pyramid. With a 4x4 kernel each cell is centred on the four that it replaces."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs, 4, stride=2, padding=1)

    def reset_parameters(self):
        _initialise(self, taps=self.in_channels * 4 * 4)

    def forward(self, x: Float[Tensor, "*B H W I"]) -> Float[Tensor, "*B H/2 W/2 O"]:
        weight, bias = _as_input(self, x)
        return _grids_last(functional.conv2d(_channels_first(x), weight, bias, stride=2, padding=1), x)


class Up(nn.ConvTranspose2d):
    """A step of x2 up the pyramid: each cell becomes four."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs, 2, stride=2)

    def reset_parameters(self):
        _initialise_spread(self, [1, 1])

    def forward(self, x: Float[Tensor, "*B H W I"]) -> Float[Tensor, "*B 2H 2W O"]:
        weight, bias = _as_input(self, x)
        return _grids_last(functional.conv_transpose2d(_channels_first(x), weight, bias, stride=2), x)


class SmoothUp(nn.ConvTranspose2d):
    """A step of x2 up whose 4x4 kernels overlap, so that neighbouring cells blend; for what is looked at."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs, 4, stride=2, padding=1)

    def reset_parameters(self):
        _initialise_spread(self, [0.25, 0.75, 0.75, 0.25])  # as linear interpolation would; from there it is learned

    def forward(self, x: Float[Tensor, "*B H W I"]) -> Float[Tensor, "*B 2H 2W O"]:
        weight, bias = _as_input(self, x)
        return _grids_last(functional.conv_transpose2d(_channels_first(x), weight, bias, stride=2, padding=1), x)


def _channels_first(x: Float[Tensor, "*B H W C"]) -> Float[Tensor, "N C H W"]:
    """A view: PyTorch's convolutions take channels first, whichever way they lie in memory."""
    return rearrange(x, "... h w c -> (...) c h w")


def _grids_last(y: Float[Tensor, "N C H W"], like: Float[Tensor, "*B _ _ _"]) -> Float[Tensor, "*B H W C"]:
    return rearrange(y, "n c h w -> n h w c").unflatten(0, like.shape[:-3])


def _initialise(layer: Linear | Conv | Down | Up | SmoothUp, taps: float):
    """LeCun's normal, cut at two deviations, for the weight, where an output sees so many taps; zero for the bias."""
    deviation = taps**-0.5 / 0.87962566
    nn.init.trunc_normal_(layer.weight, std=deviation, a=-2 * deviation, b=2 * deviation)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def _initialise_spread(layer: Up | SmoothUp, taps: list[float]):
    """LeCun's normal for each channel pair, times the same taps: at first a cell only spreads out. Were each tap drawn
    by itself, embeddings would begin, and stay, under a checkerboard (ours)."""
    channels = torch.empty(layer.in_channels, layer.out_channels, 1, 1)
    deviation = layer.in_channels**-0.5 / 0.87962566
    nn.init.trunc_normal_(channels, std=deviation, a=-2 * deviation, b=2 * deviation)
    with torch.no_grad():
        layer.weight.copy_(channels * torch.outer(torch.tensor(taps), torch.tensor(taps)))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


class Mlp(nn.Module):
    """Two layers with GELU (the exact one, by erf) between."""

    def __init__(self, inputs: int, hidden: int, outputs: int):
        super().__init__()
        self.hidden = Linear(inputs, hidden)
        self.out = Linear(hidden, outputs)

    def forward(self, x: Float[Tensor, "*B I"]) -> Float[Tensor, "*B O"]:
        return self.out(gelu(self.hidden(x)))


def gelu(x: Float[Tensor, "*B"]) -> Float[Tensor, "*B"]:
    return functional.gelu(x)


def unit(x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
    """x / |x|, in at least float32; the floor under |x|^2 keeps value and gradient finite at 0."""
    x = at_least_float32(x)
    return x * torch.rsqrt(torch.sum(x * x, dim=-1, keepdim=True).clamp(min=1e-24))


def at_least_float32(x: Float[Tensor, "*B"]) -> Float[Tensor, "*B"]:
    return x.to(torch.promote_types(x.dtype, torch.float32))
