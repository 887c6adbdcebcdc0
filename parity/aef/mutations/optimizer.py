"""Faults in the optimizer and the learning-rate schedule."""

from parity.comparison.mutation import Mutation

_ADAM, _MAKE, _RATE = (
    f"aef_jax.training.optimizer.{name}" for name in ("scale_by_adam", "make_optimizer", "learning_rate")
)

OPTIMIZER = [
    Mutation("epsilon of Adam", _MAKE, "scale_by_adam()", "scale_by_adam(eps=1e-6)", "optimizer"),
    Mutation("momentum of Adam", _MAKE, "scale_by_adam()", "scale_by_adam(b1=0.95)", "optimizer"),
    Mutation("second moment of Adam", _MAKE, "scale_by_adam()", "scale_by_adam(b2=0.99)", "optimizer"),
    Mutation("bias correction left out", _ADAM, "m / first.astype(m.dtype)", "m", "optimizer"),
    Mutation(
        "epsilon under the root",
        _ADAM,
        "jnp.sqrt(v / second.astype(v.dtype)) + eps",
        "jnp.sqrt(v / second.astype(v.dtype) + eps)",
        "optimizer",
    ),
    Mutation(
        "optax's own bias correction, in float32",
        "aef_jax.training.optimizer.bias_correction",
        "jnp.asarray(table)",
        "jnp.asarray(table.astype(np.float32))",
        "optimizer",
    ),
    Mutation("decay on biases", "aef_jax.training.optimizer.decayed", "names[-1] in DECAYED", "True", "optimizer"),
    Mutation("decay before Adam", _MAKE, "scale_by_adam(), *decay", "*decay, scale_by_adam()", "optimizer"),
    Mutation(
        "clipping by value",
        _MAKE,
        "optax.clip_by_global_norm(config.clip_norm)",
        "optax.clip(config.clip_norm)",
        "optimizer",
    ),
    Mutation("no clipping", _MAKE, "optax.clip_by_global_norm(config.clip_norm)", "optax.identity()", "optimizer"),
    Mutation("no warm-up", _RATE, "jnp.minimum(up, left)", "left", "optimizer"),
    Mutation("schedule a step ahead", _RATE, "jnp.asarray(count,", "jnp.asarray(count + 1,", "optimizer"),
]
