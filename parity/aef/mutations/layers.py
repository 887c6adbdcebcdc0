"""Faults in layers and attention."""

from parity.comparison.mutation import Mutation

LAYERS = [
    Mutation(
        "epsilon of a norm", "aef_jax.model.layers.LayerNorm.__init__", "epsilon=1e-5", "epsilon=1e-6", "LayerNorm"
    ),
    Mutation(
        "tanh GELU",
        "aef_jax.model.layers.gelu",
        "jax.lax.platform_dependent(x, cpu=_gelu_by_erf, default=partial(jax.nn.gelu, approximate=False))",
        "jax.nn.gelu(x, approximate=True)",
        "SourceEncoder",
    ),
    Mutation(
        "epsilon added in a unit vector",
        "aef_jax.model.layers.unit",
        "jnp.maximum(jnp.sum(x * x, axis=-1, keepdims=True), 1e-24)",
        "jnp.sum(x * x, axis=-1, keepdims=True) + 1e-9",
        "TemporalSummary",
    ),
    Mutation("bias of a linear layer dropped", "aef_jax.model.layers.Linear.__call__", "self.bias", "None", "Linear"),
    Mutation("bias of a convolution dropped", "aef_jax.model.layers.Conv.__call__", "self.bias", "None", "Conv"),
    Mutation(
        "kernel flipped",
        "aef_jax.model.layers.Conv.__call__",
        "self.kernel[...]",
        "self.kernel[...][::-1, ::-1]",
        "Conv",
    ),
    Mutation(
        "kernel transposed in space",
        "aef_jax.model.layers.Conv.__call__",
        "self.kernel[...]",
        "self.kernel[...].swapaxes(0, 1)",
        "Conv",
    ),
    Mutation(
        "kernel of a square linear layer transposed",
        "aef_jax.model.layers.Linear.__call__",
        "self.kernel[...].astype(x.dtype)",
        "(k.T if (k := self.kernel[...]).shape[0] == k.shape[1] else k).astype(x.dtype)",
        "Linear",
    ),
    Mutation(
        "pixel shift going down",
        "aef_jax.model.layers.Down.__call__",
        "merge_frames(x)",
        "merge_frames(jnp.roll(x, 1, -2))",
        "Down",
    ),
    Mutation(
        "cells of an up step transposed", "aef_jax.model.layers.Up.__call__", "c -> (i j o) c", "c -> (j i o) c", "Up"
    ),
    Mutation(
        "transposed convolution not flipped",
        "aef_jax.model.layers.SmoothUp.__call__",
        "self.kernel[...][::-1, ::-1]",
        "self.kernel[...]",
        "SmoothUp",
    ),
    Mutation(
        "half-pixel shift going up",
        "aef_jax.model.layers.SmoothUp.__call__",
        "p : p + height, q : q + width",
        "1 : 1 + height, 1 : 1 + width",
        "SmoothUp",
    ),
]

_ATTENTION = "aef_jax.model.attention.Attention.__call__"
_SOFTMAX = "aef_jax.model.attention.masked_softmax"
_ROTATE = "aef_jax.model.attention.rotate"

ATTENTION = [
    Mutation(
        "query and key swapped",
        _ATTENTION,
        "(self.query, self.key, self.value)",
        "(self.key, self.query, self.value)",
        "Attention",
    ),
    Mutation("scale of attention missing", _ATTENTION, " * q.shape[-1] ** -0.5", "", "Attention"),
    Mutation("scale by the whole width", _ATTENTION, "q.shape[-1] ** -0.5", "x.shape[-1] ** -0.5", "Attention"),
    Mutation("heads and channels swapped", _ATTENTION, "n (h d) -> ... h n d", "n (d h) -> ... h n d", "Attention"),
    Mutation("heads joined in another order", _ATTENTION, '... n (h d)"', '... n (d h)"', "Attention"),
    Mutation(
        "key mask ignored",
        _ATTENTION,
        "None if key_mask is None else key_mask[..., None, None, :]",
        "None",
        "Attention",
    ),
    Mutation(
        "keys not turned by their positions",
        _ATTENTION,
        "rotate(q, angles), rotate(k, angles)",
        "rotate(q, angles), k",
        "Attention",
    ),
    Mutation(
        "mask inverted", _SOFTMAX, "logits = jnp.where(mask, logits,", "logits = jnp.where(~mask, logits,", "Attention"
    ),
    Mutation(
        "softmax over queries",
        _SOFTMAX,
        "weights.sum(-1, keepdims=True)",
        "weights.sum(-2, keepdims=True)",
        "Attention",
    ),
    Mutation(
        "gradient of attention weights stopped",
        _SOFTMAX,
        "return (weights /",
        "return jax.lax.stop_gradient(weights /",
        "Attention",
    ),
    Mutation(
        "largest logit not subtracted under stop-gradient",
        _SOFTMAX,
        "jax.lax.stop_gradient(logits.max(-1, keepdims=True))",
        "logits.max(-1, keepdims=True)",
        "Attention",
        equivalent="softmax is the same for any constant taken off all logits: whatever gradient that constant has, its"
        " parts cancel, where no sum is below 1; and it is 1 at least, as the largest weight is 1 before the division",
    ),
    Mutation(
        "rotation the wrong way",
        _ROTATE,
        "first * cosine - second * sine",
        "first * cosine + second * sine",
        "Attention",
    ),
]
