"""The layers of the model, with defaults on which both frameworks agree.

Every layer computes in the dtype of its input and casts its parameters to that dtype. The compute dtype is therefore
chosen once, where data enters the model.

Mirror: aef_torch/model/layers.py.
"""

# pyright: reportIncompatibleMethodOverride=false
# a layer's argument is called x, as in PyTorch, and is its only one

import math
from functools import partial

import jax
import jax.numpy as jnp
from einops import rearrange
from flax import nnx
from jaxtyping import Array, Float

from aef_jax.kernels.cpu_convolution import convolution
from aef_jax.sharding.frames import merge_frames, split_frames
from aef_jax.sharding.mesh import is_single_device

_kernel_init = nnx.initializers.lecun_normal()


class Linear(nnx.Linear):
    """Dense layer over the last axis.

    Args:
        inputs: channels of the input.
        outputs: channels of the output.
        bias: whether to add a bias.
        rngs: source of the random initial parameters.
    """

    def __init__(self, inputs: int, outputs: int, bias: bool = True, *, rngs: nnx.Rngs):
        super().__init__(inputs, outputs, use_bias=bias, kernel_init=_kernel_init, rngs=rngs)

    def __call__(self, x: Float[Array, "*B I"]) -> Float[Array, "*B O"]:
        """Multiply the last axis by the weight and add the bias.

        Args:
            x: numbers with the inputs on the last axis.

        Returns:
            The outputs, in the dtype of x.
        """
        return _plus_bias(_product(x, self.kernel[...].astype(x.dtype)), self.bias)


class LayerNorm(nnx.LayerNorm):
    """Layer norm over the last axis, computed in at least float32.

    Flax's fast variance is off: it loses digits when the mean is large.

    Args:
        width: channels.
        rngs: source of the random initial parameters.
    """

    def __init__(self, width: int, *, rngs: nnx.Rngs):
        super().__init__(width, epsilon=1e-5, use_fast_variance=False, rngs=rngs)

    def __call__(self, x: Float[Array, "*B C"]) -> Float[Array, "*B C"]:
        """Normalize the last axis.

        Args:
            x: numbers with the channels on the last axis.

        Returns:
            The normalized numbers, in the dtype of x.
        """
        return super().__call__(at_least_float32(x)).astype(x.dtype)


class Conv(nnx.Conv):
    """3x3 convolution that keeps the size of the grid.

    Args:
        inputs: channels of the input.
        outputs: channels of the output.
        rngs: source of the random initial parameters.
    """

    def __init__(self, inputs: int, outputs: int, *, rngs: nnx.Rngs):
        super().__init__(inputs, outputs, (3, 3), padding=1, kernel_init=_kernel_init, rngs=rngs)

    def __call__(self, x: Float[Array, "B T H W I"]) -> Float[Array, "B T H W O"]:
        """Convolve each frame.

        Args:
            x: frames.

        Returns:
            Frames of the same size.
        """
        frames = convolution(merge_frames(x), self.kernel[...].astype(x.dtype), stride=1)
        return _plus_bias(split_frames(frames, len(x)), self.bias)


class Down(nnx.Conv):
    """Convolution that halves the grid. Its 4x4 kernel centers each output cell on the four cells that it replaces.

    Args:
        inputs: channels of the input.
        outputs: channels of the output.
        rngs: source of the random initial parameters.
    """

    def __init__(self, inputs: int, outputs: int, *, rngs: nnx.Rngs):
        super().__init__(inputs, outputs, (4, 4), strides=2, padding=1, kernel_init=_kernel_init, rngs=rngs)

    def __call__(self, x: Float[Array, "B T H W I"]) -> Float[Array, "B T H/2 W/2 O"]:
        """Halve the grid of each frame.

        Args:
            x: frames.

        Returns:
            Frames of half the size.
        """
        frames = convolution(merge_frames(x), self.kernel[...].astype(x.dtype), stride=2)
        return _plus_bias(split_frames(frames, len(x)), self.bias)


class Up(nnx.ConvTranspose):
    """Transposed convolution that doubles the grid. Each cell becomes four, without overlap.

    It is computed as one matrix product; XLA would dilate the input and convolve it.

    Args:
        inputs: channels of the input.
        outputs: channels of the output.
        rngs: source of the random initial parameters.
    """

    def __init__(self, inputs: int, outputs: int, *, rngs: nnx.Rngs):
        super().__init__(inputs, outputs, (2, 2), strides=(2, 2), transpose_kernel=True, kernel_init=_flat, rngs=rngs)

    def __call__(self, x: Float[Array, "*B H W I"]) -> Float[Array, "*B 2*H 2*W O"]:
        """Double the grid of each frame.

        Args:
            x: frames.

        Returns:
            Frames of twice the size.
        """
        rows = rearrange(self.kernel[...].astype(x.dtype), "i j o c -> (i j o) c")
        cells = _product(x, rows.T)  # XLA fuses this transpose into the product; it would copy a kernel of four axes
        return _plus_bias(rearrange(cells, "... h w (i j o) -> ... (h i) (w j) o", i=2, j=2), self.bias)


class SmoothUp(nnx.ConvTranspose):
    """Transposed convolution that doubles the grid with overlapping 4x4 kernels, so that neighboring cells blend.

    It makes the embedding field itself, whose grid is visible. The padding is 1, so each output sees 2x2 cells. It is
    computed as one matrix product of each 2x2 cells with the taps of the four outputs between them. XLA would put zeros
    between the cells; as a convolution, the kernel's gradient has six times the error and takes 30 times as long on a
    CPU.

    Args:
        inputs: channels of the input.
        outputs: channels of the output.
        rngs: source of the random initial parameters.
    """

    def __init__(self, inputs: int, outputs: int, *, rngs: nnx.Rngs):
        super().__init__(inputs, outputs, (4, 4), strides=(2, 2), transpose_kernel=True, kernel_init=_smooth, rngs=rngs)

    def __call__(self, x: Float[Array, "B P H W I"]) -> Float[Array, "B P 2*H 2*W O"]:
        """Double the grid of each field.

        Args:
            x: fields.

        Returns:
            Fields of twice the size.
        """
        height, width = x.shape[-3:-1]
        # output 2m sees cells m - 1 and m through taps 3 and 1; output 2m + 1 sees m and m + 1 through taps 2 and 0
        taps = rearrange(self.kernel[...][::-1, ::-1].astype(x.dtype), "(i p) (j q) o c -> (i j c) (p q o)", p=2, q=2)
        edged = jnp.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1), (0, 0)))
        cells = [edged[..., i : i + height + 1, j : j + width + 1, :] for i in (0, 1) for j in (0, 1)]
        phases = rearrange(jnp.concatenate(cells, axis=-1) @ taps, "... (p q o) -> p q ... o", p=2, q=2)
        rows = [[phases[p, q, ..., p : p + height, q : q + width, :] for q in (0, 1)] for p in (0, 1)]
        return _plus_bias(rearrange(jnp.asarray(rows), "p q ... h w o -> ... (h p) (w q) o"), self.bias)


def _product(x: Float[Array, "*B I"], kernel: Float[Array, "I O"]) -> Float[Array, "*B O"]:
    """Compute `x @ kernel`, as a product of two matrices if no axis of x is split over devices.

    The kernel's gradient sums over all axes but the last. XLA's CPU backend sums over several axes by a transposed copy
    of x, and of the arrays that x is computed from.
    """
    if not is_single_device():
        return x @ kernel
    rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    return (rows @ kernel).reshape(*x.shape[:-1], kernel.shape[-1])


def _plus_bias(x: Float[Array, "*B O"], bias: nnx.Param | None) -> Float[Array, "*B O"]:
    """Compute `x + bias`.

    The bias is broadcast before the cast, so that its gradient is summed in float32. XLA's CPU backend sums bfloat16 in
    bfloat16, and loses half of the gradient.
    """
    return x if bias is None else x + jnp.broadcast_to(bias[...], x.shape).astype(x.dtype)


def _flat(key: Array, shape: tuple[int, ...], dtype=jnp.float32) -> Array:
    """Draw each channel pair from LeCun's normal, the same for all taps. The shape is (height, width, out, in).

    At first a cell is only spread out. If each tap were drawn by itself, embeddings would show a checkerboard at the
    start, and keep it (ours).
    """
    channels = _kernel_init(key, (shape[3], shape[2]), dtype).T
    return jnp.broadcast_to(channels, shape)


def _smooth(key: Array, shape: tuple[int, ...], dtype=jnp.float32) -> Array:
    """Draw as `_flat`, with taps that start as linear interpolation."""
    taps = jnp.asarray([0.25, 0.75, 0.75, 0.25], dtype)
    return jnp.outer(taps, taps)[:, :, None, None] * _flat(key, shape, dtype)


class Mlp(nnx.Module):
    """Two dense layers with a GELU between them.

    Args:
        inputs: channels of the input.
        hidden: channels between the layers.
        outputs: channels of the output.
        rngs: source of the random initial parameters.
    """

    def __init__(self, inputs: int, hidden: int, outputs: int, *, rngs: nnx.Rngs):
        self.hidden = Linear(inputs, hidden, rngs=rngs)
        self.out = Linear(hidden, outputs, rngs=rngs)

    def __call__(self, x: Float[Array, "*B I"]) -> Float[Array, "*B O"]:
        """Apply both layers to the last axis.

        Args:
            x: numbers with the inputs on the last axis.

        Returns:
            The outputs, in the dtype of x.
        """
        return self.out(gelu(self.hidden(x)))


def gelu(x: Float[Array, "*B"]) -> Float[Array, "*B"]:
    """Compute the exact GELU, x * (1 + erf(x / sqrt(2))) / 2, elementwise.

    Args:
        x: any numbers.

    Returns:
        The activations, in the dtype of x.
    """
    return jax.lax.platform_dependent(x, cpu=_gelu_by_erf, default=partial(jax.nn.gelu, approximate=False))


def _gelu_by_erf(x: Float[Array, "*B"]) -> Float[Array, "*B"]:
    """Hide the GELU from XLA's oneDNN pass, which would replace x by the GELU for every reader of x."""
    return x * (0.5 + 0.5 * jax.lax.erf(x * 0.5**0.5))


def unit(x: Float[Array, "*B D"]) -> Float[Array, "*B D"]:
    """Scale vectors to length 1, in at least float32.

    |x|^2 is at least 1e-24, so that value and gradient are finite at 0.

    Args:
        x: vectors along the last axis.

    Returns:
        The unit vectors.
    """
    x = at_least_float32(x)
    return x * jax.lax.rsqrt(jnp.maximum(jnp.sum(x * x, axis=-1, keepdims=True), 1e-24))


def at_least_float32(x: Float[Array, "*B"]) -> Float[Array, "*B"]:
    """Cast float16 and bfloat16 to float32.

    Args:
        x: any numbers.

    Returns:
        The same numbers in float32, or in float64 if x is float64.
    """
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))
