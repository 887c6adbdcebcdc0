"""The 2D convolution of the model, with gradients that XLA compiles to fast code on a CPU.

XLA's own gradients of a convolution are convolutions of other forms (other axis orders, or dilated by the stride). On a
CPU it transposes them outside of loops, and computes them one number at a time inside loops: a training step of the
preset `small` took 5 times as long, and over a minute with oneDNN. Here the gradients are convolutions of the forward
pass's own form, NHWC images and HWIO kernels. Other platforms get XLA's gradients.
"""

from functools import partial

import jax
import jax.numpy as jnp
from einops import rearrange
from jaxtyping import Array, Float

from aef_jax.sharding.mesh import is_single_device


def convolution(
    images: Float[Array, "N H W I"], kernel: Float[Array, "K K I O"], stride: int
) -> Float[Array, "N Y X O"]:
    """Convolve each image with a kernel, padded by 1 on each side.

    On several devices, XLA's own gradients are used, except the gradient to the images at stride 2.

    Args:
        images: The images.
        kernel: A 3x3 kernel at stride 1, a 4x4 kernel at stride 2.
        stride: 1 keeps the size of the images, 2 halves it.

    Returns:
        The convolved images.
    """
    if stride == 1 and not is_single_device():
        return _reference(images, kernel, stride)
    return _convolve(images, kernel, stride)


def _reference(
    images: Float[Array, "N H W I"], kernel: Float[Array, "K K I O"], stride: int
) -> Float[Array, "N Y X O"]:
    return _windows(images, kernel, (stride, stride))


_convolve = jax.custom_vjp(_reference, nondiff_argnums=(2,))


def _convolve_forward(images: Float[Array, "N H W I"], kernel: Float[Array, "K K I O"], stride: int):
    return _reference(images, kernel, stride), (images, kernel)


def _convolve_backward(
    stride: int, residuals: tuple[Array, Array], gradient: Float[Array, "N Y X O"]
) -> tuple[Array, ...]:
    images, kernel = residuals

    def images_gradient(gradient: Array, kernel: Array) -> Array:
        return jax.linear_transpose(lambda images: _reference(images, kernel, stride), images)(gradient)[0]

    def kernel_gradient(gradient: Array, images: Array) -> Array:
        return jax.linear_transpose(lambda kernel: _reference(images, kernel, stride), kernel)(gradient)[0]

    choose = jax.lax.platform_dependent
    on_cpu = _images_gradient_stride_2 if stride == 2 else _images_gradient_stride_1
    to_images = choose(gradient, kernel, cpu=on_cpu, default=images_gradient)
    if not is_single_device():
        return to_images, kernel_gradient(gradient, images)
    return to_images, choose(gradient, images, cpu=partial(_kernel_gradient, stride=stride), default=kernel_gradient)


_convolve.defvjp(_convolve_forward, _convolve_backward)


def _images_gradient_stride_1(
    gradient: Float[Array, "N H W O"], kernel: Float[Array, "3 3 I O"]
) -> Float[Array, "N H W I"]:
    return _windows(gradient, jnp.swapaxes(kernel[::-1, ::-1], 2, 3))


def _images_gradient_stride_2(
    gradient: Float[Array, "N H W O"], kernel: Float[Array, "4 4 I O"]
) -> Float[Array, "N 2*H 2*W I"]:
    """Convolve 2x2 cells of the gradient with the taps of the 2x2 pixels between them.

    XLA would put zeros between the cells, and takes nine times as long for images of 4x4 pixels.
    """
    # pixels 2m - 1 and 2m see cells m - 1 and m: through taps 2 and 0, and through taps 3 and 1
    # rolling an axis of length 2 reverses it; oneDNN does not accept the result of `rev`
    taps = jnp.roll(rearrange(kernel, "(i p) (j q) c o -> i j o (p q c)", p=2, q=2), (1, 1), axis=(0, 1))
    pixels = rearrange(_windows(gradient, taps), "n h w (p q c) -> n (h p) (w q) c", p=2, q=2)
    return pixels[:, 1:-1, 1:-1]


def _kernel_gradient(
    gradient: Float[Array, "N Y X O"], images: Float[Array, "N H W I"], stride: int
) -> Float[Array, "K K I O"]:
    """Convolve each channel of the images with the gradient as a kernel; images of the batch act as channels."""
    channels, weights = rearrange(images, "n h w i -> i h w n"), rearrange(gradient, "n h w o -> h w n o")
    return rearrange(_windows(channels, weights, dilation=(stride, stride)), "i k l o -> k l i o")


def _windows(
    images: Float[Array, "N H W I"],
    kernel: Float[Array, "KH KW I O"],
    strides: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
) -> Float[Array, "N Y X O"]:
    padding, axes = ((1, 1), (1, 1)), ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(images, kernel, strides, padding, rhs_dilation=dilation, dimension_numbers=axes)
