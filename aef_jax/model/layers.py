"""The layers of Flax, set once to what both frameworks share.

Every layer computes in the dtype of its input: parameters stay in theirs and are cast where they are used. So the
compute dtype is chosen where data enters the model, and nowhere else.

Mirror: aef_torch/model/layers.py.
"""

# pyright: reportIncompatibleMethodOverride=false
# a layer takes x and nothing else

import math
from functools import partial

import jax
import jax.numpy as jnp
from einops import rearrange
from flax import nnx
from jaxtyping import Array, Float

from aef_jax.kernels.cpu_convolution import convolution
from aef_jax.sharding.mesh import is_single_device, merge_frames, split_frames

_kernel_init = nnx.initializers.lecun_normal()


class Linear(nnx.Linear):
    def __init__(self, inputs: int, outputs: int, bias: bool = True, *, rngs: nnx.Rngs):
        super().__init__(inputs, outputs, use_bias=bias, kernel_init=_kernel_init, rngs=rngs)

    def __call__(self, x: Float[Array, "*B I"]) -> Float[Array, "*B O"]:
        return _plus_bias(_product(x, self.kernel[...].astype(x.dtype)), self.bias)


class LayerNorm(nnx.LayerNorm):
    """Over the last axis, in at least float32. The fast variance loses digits where the mean is large."""

    def __init__(self, width: int, *, rngs: nnx.Rngs):
        super().__init__(width, epsilon=1e-5, use_fast_variance=False, rngs=rngs)

    def __call__(self, x: Float[Array, "*B C"]) -> Float[Array, "*B C"]:
        return super().__call__(at_least_float32(x)).astype(x.dtype)


class Conv(nnx.Conv):
    """A 3x3 convolution that keeps the grid."""

    def __init__(self, inputs: int, outputs: int, *, rngs: nnx.Rngs):
        super().__init__(inputs, outputs, (3, 3), padding=1, kernel_init=_kernel_init, rngs=rngs)

    def __call__(self, x: Float[Array, "B T H W I"]) -> Float[Array, "B T H W O"]:
        frames = convolution(merge_frames(x), self.kernel[...].astype(x.dtype), stride=1)
        return _plus_bias(split_frames(frames, len(x)), self.bias)


class Down(nnx.Conv):
    """A step of x2 down the pyramid. With a 4x4 kernel each cell is centred on the four that it replaces."""

    def __init__(self, inputs: int, outputs: int, *, rngs: nnx.Rngs):
        super().__init__(inputs, outputs, (4, 4), strides=2, padding=1, kernel_init=_kernel_init, rngs=rngs)

    def __call__(self, x: Float[Array, "B T H W I"]) -> Float[Array, "B T H/2 W/2 O"]:
        frames = convolution(merge_frames(x), self.kernel[...].astype(x.dtype), stride=2)
        return _plus_bias(split_frames(frames, len(x)), self.bias)


class Up(nnx.ConvTranspose):
    """A step of x2 up the pyramid: each cell becomes four. One matrix product, where XLA would dilate and convolve."""

    def __init__(self, inputs: int, outputs: int, *, rngs: nnx.Rngs):
        super().__init__(inputs, outputs, (2, 2), strides=(2, 2), transpose_kernel=True, kernel_init=_flat, rngs=rngs)

    def __call__(self, x: Float[Array, "*B H W I"]) -> Float[Array, "*B 2H 2W O"]:
        rows = rearrange(self.kernel[...].astype(x.dtype), "i j o c -> (i j o) c")
        cells = _product(x, rows.T)  # which the product does itself; of four axes XLA would make a copy
        return _plus_bias(rearrange(cells, "... h w (i j o) -> ... (h i) (w j) o", i=2, j=2), self.bias)


class SmoothUp(nnx.ConvTranspose):
    """A step of x2 up whose 4x4 kernels overlap, so that neighbouring cells blend; for what is looked at.

    The transposed convolution with padding 1. Each output sees 2x2 cells, so it is one matrix product of each 2x2 cells
    with the taps of the four outputs between them: none of the zeros that XLA would put between the cells. (As a
    convolution, the kernel's gradient has six times the error and takes 30 times as long on a CPU.)
    """

    def __init__(self, inputs: int, outputs: int, *, rngs: nnx.Rngs):
        super().__init__(inputs, outputs, (4, 4), strides=(2, 2), transpose_kernel=True, kernel_init=_smooth, rngs=rngs)

    def __call__(self, x: Float[Array, "B P H W I"]) -> Float[Array, "B P 2H 2W O"]:
        height, width = x.shape[-3:-1]
        # output 2m sees cells m - 1 and m through taps 3 and 1; output 2m + 1 sees m and m + 1 through taps 2 and 0
        taps = rearrange(self.kernel[...][::-1, ::-1].astype(x.dtype), "(i p) (j q) o c -> (i j c) (p q o)", p=2, q=2)
        edged = jnp.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1), (0, 0)))
        cells = [edged[..., i : i + height + 1, j : j + width + 1, :] for i in (0, 1) for j in (0, 1)]
        phases = rearrange(jnp.concatenate(cells, axis=-1) @ taps, "... (p q o) -> p q ... o", p=2, q=2)
        rows = [[phases[p, q, ..., p : p + height, q : q + width, :] for q in (0, 1)] for p in (0, 1)]
        return _plus_bias(rearrange(jnp.asarray(rows), "p q ... h w o -> ... (h p) (w q) o"), self.bias)


def _product(x: Float[Array, "*B I"], kernel: Float[Array, "I O"]) -> Float[Array, "*B O"]:
    """`x @ kernel`, of two matrices where no axis of x is split over devices. The kernel's gradient sums over all axes
    but the last, and over several XLA's CPU backend does so by a transposed copy of x, and of what x comes from."""
    if not is_single_device():
        return x @ kernel
    rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    return (rows @ kernel).reshape(*x.shape[:-1], kernel.shape[-1])


def _plus_bias(x: Float[Array, "*B O"], bias: nnx.Param | None) -> Float[Array, "*B O"]:
    """`x + bias`. Spread out before the cast, so that the bias's gradient is summed in float32: XLA's CPU backend sums
    bfloat16 in bfloat16, and loses half of it."""
    return x if bias is None else x + jnp.broadcast_to(bias[...], x.shape).astype(x.dtype)


def _flat(key: Array, shape: tuple[int, ...], dtype=jnp.float32) -> Array:
    """LeCun's normal for each channel pair, the same for all taps: at first a cell only spreads out. Were each tap
    drawn by itself, embeddings would begin, and stay, under a checkerboard (ours). Shape: (height, width, out, in)."""
    channels = _kernel_init(key, (shape[3], shape[2]), dtype).T
    return jnp.broadcast_to(channels, shape)


def _smooth(key: Array, shape: tuple[int, ...], dtype=jnp.float32) -> Array:
    """As `_flat`, spread out as linear interpolation would; from there it is learned."""
    taps = jnp.asarray([0.25, 0.75, 0.75, 0.25], dtype)
    return jnp.outer(taps, taps)[:, :, None, None] * _flat(key, shape, dtype)


class Mlp(nnx.Module):
    """Two layers with GELU (the exact one, by erf) between."""

    def __init__(self, inputs: int, hidden: int, outputs: int, *, rngs: nnx.Rngs):
        self.hidden = Linear(inputs, hidden, rngs=rngs)
        self.out = Linear(hidden, outputs, rngs=rngs)

    def __call__(self, x: Float[Array, "*B I"]) -> Float[Array, "*B O"]:
        return self.out(gelu(self.hidden(x)))


def gelu(x: Float[Array, "*B"]) -> Float[Array, "*B"]:
    return jax.lax.platform_dependent(x, cpu=_gelu_by_erf, default=partial(jax.nn.gelu, approximate=False))


def _gelu_by_erf(x: Float[Array, "*B"]) -> Float[Array, "*B"]:
    """Written so that oneDNN's pass in XLA doesn't know it: that would give it in place of x, whoever else reads x."""
    return x * (0.5 + 0.5 * jax.lax.erf(x * 0.5**0.5))


def unit(x: Float[Array, "*B D"]) -> Float[Array, "*B D"]:
    """x / |x|, in at least float32; the floor under |x|^2 keeps value and gradient finite at 0."""
    x = at_least_float32(x)
    return x * jax.lax.rsqrt(jnp.maximum(jnp.sum(x * x, axis=-1, keepdims=True), 1e-24))


def at_least_float32(x: Float[Array, "*B"]) -> Float[Array, "*B"]:
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))
