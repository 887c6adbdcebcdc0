"""The layers of the model, with defaults on which both frameworks agree.

Every layer computes in the dtype of its input and casts its parameters to that dtype. The compute dtype is therefore
chosen once, where data enters the model. Grids are channels-last, as in JAX.

Mirror: aef_jax/model/layers.py.
"""

# pyright: reportIncompatibleMethodOverride=false
# a layer's argument is called x, as in JAX, and is its only one

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


def _as_input(
    layer: nn.Linear | nn.LayerNorm | nn.Conv2d | nn.ConvTranspose2d, x: Tensor
) -> tuple[Tensor, Tensor | None]:
    """Cast a layer's weight and bias to the dtype of the input."""
    weight, bias = layer.weight, layer.bias
    return weight.to(x.dtype), None if bias is None else bias.to(x.dtype)


class Linear(nn.Linear):
    """Dense layer over the last axis.

    Args:
        inputs: channels of the input.
        outputs: channels of the output.
        bias: whether to add a bias.
    """

    def __init__(self, inputs: int, outputs: int, bias: bool = True):
        super().__init__(inputs, outputs, bias)

    def reset_parameters(self):
        """Draw the weight anew and set the bias to zero."""
        _initialize(self, taps=self.in_features)

    def forward(self, x: Float[Tensor, "*B I"]) -> Float[Tensor, "*B O"]:
        """Multiply the last axis by the weight and add the bias.

        Args:
            x: numbers with the inputs on the last axis.

        Returns:
            The outputs, in the dtype of x.
        """
        return functional.linear(x, *_as_input(self, x))


class LayerNorm(nn.LayerNorm):
    """Layer norm over the last axis, computed in at least float32.

    Args:
        width: channels.
    """

    def __init__(self, width: int):
        super().__init__(width, eps=1e-5)

    def forward(self, x: Float[Tensor, "*B C"]) -> Float[Tensor, "*B C"]:
        """Normalize the last axis.

        Args:
            x: numbers with the channels on the last axis.

        Returns:
            The normalized numbers, in the dtype of x.
        """
        wide = at_least_float32(x)
        weight, bias = _as_input(self, wide)
        return functional.layer_norm(wide, self.normalized_shape, weight, bias, self.eps).to(x.dtype)


class Conv(nn.Conv2d):
    """3x3 convolution that keeps the size of the grid.

    Args:
        inputs: channels of the input.
        outputs: channels of the output.
    """

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs, 3, padding=1)

    def reset_parameters(self):
        """Draw the weight anew and set the bias to zero."""
        _initialize(self, taps=self.in_channels * 3 * 3)

    def forward(self, x: Float[Tensor, "*B H W I"]) -> Float[Tensor, "*B H W O"]:
        """Convolve each frame.

        Args:
            x: frames.

        Returns:
            Frames of the same size.
        """
        weight, bias = _as_input(self, x)
        return _grids_last(functional.conv2d(_channels_first(x), weight, bias, padding=1), x)


class Down(nn.Conv2d):
    """Convolution that halves the grid. Its 4x4 kernel centers each output cell on the four cells that it replaces.

    Args:
        inputs: channels of the input.
        outputs: channels of the output.
    """

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs, 4, stride=2, padding=1)

    def reset_parameters(self):
        """Draw the weight anew and set the bias to zero."""
        _initialize(self, taps=self.in_channels * 4 * 4)

    def forward(self, x: Float[Tensor, "*B H W I"]) -> Float[Tensor, "*B H/2 W/2 O"]:
        """Halve the grid of each frame.

        Args:
            x: frames.

        Returns:
            Frames of half the size.
        """
        weight, bias = _as_input(self, x)
        return _grids_last(functional.conv2d(_channels_first(x), weight, bias, stride=2, padding=1), x)


class Up(nn.ConvTranspose2d):
    """Transposed convolution that doubles the grid. Each cell becomes four, without overlap.

    Args:
        inputs: channels of the input.
        outputs: channels of the output.
    """

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs, 2, stride=2)

    def reset_parameters(self):
        """Draw the weight anew, with the same taps for every channel pair, and set the bias to zero."""
        _initialize_spread(self, [1, 1])

    def forward(self, x: Float[Tensor, "*B H W I"]) -> Float[Tensor, "*B 2*H 2*W O"]:
        """Double the grid of each frame.

        Args:
            x: frames.

        Returns:
            Frames of twice the size.
        """
        weight, bias = _as_input(self, x)
        return _grids_last(functional.conv_transpose2d(_channels_first(x), weight, bias, stride=2), x)


class SmoothUp(nn.ConvTranspose2d):
    """Transposed convolution that doubles the grid with overlapping 4x4 kernels, so that neighboring cells blend.

    It makes the embedding field itself, whose grid is visible.

    Args:
        inputs: channels of the input.
        outputs: channels of the output.
    """

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs, 4, stride=2, padding=1)

    def reset_parameters(self):
        """Draw the weight anew, with the same taps for every channel pair, and set the bias to zero."""
        _initialize_spread(self, [0.25, 0.75, 0.75, 0.25])  # starts as linear interpolation

    def forward(self, x: Float[Tensor, "*B H W I"]) -> Float[Tensor, "*B 2*H 2*W O"]:
        """Double the grid of each field.

        Args:
            x: fields.

        Returns:
            Fields of twice the size.
        """
        weight, bias = _as_input(self, x)
        return _grids_last(functional.conv_transpose2d(_channels_first(x), weight, bias, stride=2, padding=1), x)


def _channels_first(x: Float[Tensor, "*B H W C"]) -> Float[Tensor, "N C H W"]:
    """Return a view, not a copy: PyTorch's convolutions want channels first in shape, not in memory."""
    return rearrange(x, "... h w c -> (...) c h w")


def _grids_last(y: Float[Tensor, "N C H W"], like: Float[Tensor, "*B _ _ _"]) -> Float[Tensor, "*B H W C"]:
    return rearrange(y, "n c h w -> n h w c").unflatten(0, like.shape[:-3])


def _initialize(layer: Linear | Conv | Down | Up | SmoothUp, taps: float):
    """Draw the weight from LeCun's normal for so many taps per output, cut at two deviations; set the bias to 0."""
    deviation = taps**-0.5 / 0.87962566
    nn.init.trunc_normal_(layer.weight, std=deviation, a=-2 * deviation, b=2 * deviation)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def _initialize_spread(layer: Up | SmoothUp, taps: list[float]):
    """Draw each channel pair from LeCun's normal and multiply it with the same taps.

    At first a cell is only spread out. If each tap were drawn by itself, embeddings would show a checkerboard at the
    start, and keep it (ours).
    """
    channels = torch.empty(layer.in_channels, layer.out_channels, 1, 1)
    deviation = layer.in_channels**-0.5 / 0.87962566
    nn.init.trunc_normal_(channels, std=deviation, a=-2 * deviation, b=2 * deviation)
    with torch.no_grad():
        layer.weight.copy_(channels * torch.outer(torch.tensor(taps), torch.tensor(taps)))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


class Mlp(nn.Module):
    """Two dense layers with a GELU between them.

    Args:
        inputs: channels of the input.
        hidden: channels between the layers.
        outputs: channels of the output.
    """

    def __init__(self, inputs: int, hidden: int, outputs: int):
        super().__init__()
        self.hidden = Linear(inputs, hidden)
        self.out = Linear(hidden, outputs)

    def forward(self, x: Float[Tensor, "*B I"]) -> Float[Tensor, "*B O"]:
        """Apply both layers to the last axis.

        Args:
            x: numbers with the inputs on the last axis.

        Returns:
            The outputs, in the dtype of x.
        """
        return self.out(gelu(self.hidden(x)))


def gelu(x: Float[Tensor, "*B"]) -> Float[Tensor, "*B"]:
    """Compute the exact GELU, x * (1 + erf(x / sqrt(2))) / 2, elementwise.

    Args:
        x: any numbers.

    Returns:
        The activations, in the dtype of x.
    """
    return functional.gelu(x)


def unit(x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
    """Scale vectors to length 1, in at least float32.

    |x|^2 is at least 1e-24, so that value and gradient are finite at 0.

    Args:
        x: vectors along the last axis.

    Returns:
        The unit vectors.
    """
    x = at_least_float32(x)
    return x * torch.rsqrt(torch.sum(x * x, dim=-1, keepdim=True).clamp(min=1e-24))


def at_least_float32(x: Float[Tensor, "*B"]) -> Float[Tensor, "*B"]:
    """Cast float16 and bfloat16 to float32.

    Args:
        x: any numbers.

    Returns:
        The same numbers in float32, or in float64 if x is float64.
    """
    return x.to(torch.promote_types(x.dtype, torch.float32))
