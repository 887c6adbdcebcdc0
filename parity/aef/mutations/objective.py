"""Faults in decoders, bottleneck, losses and the objective."""

from parity.comparison.mutation import Mutation

_DECODER = "aef_jax.model.decoders.Decoder.__call__"
_VMF = "aef_jax.model.bottleneck.von_mises_fisher"
_OBJECTIVE = "aef_jax.training.objective.objective"
_ERROR, _SHIFT = "aef_jax.training.losses.reconstruction_error", "aef_jax.training.losses.shift_invariant"
_FISHER = "aef_jax.training.objective.von_mises_fisher"
"""Labels of functions are where JAX looks them up."""

DECODERS = [
    Mutation("scale of the embedding missing", _DECODER, "sample * self.scale", "sample", "Decoder"),
    Mutation("time and metadata swapped", _DECODER, "[time_code, metadata]", "[metadata, time_code]", "Decoder"),
    Mutation("one GELU left out", _DECODER, "self.hidden(gelu(x))", "self.hidden(x)", "Decoder"),
    Mutation(
        "sentence and period swapped",
        "aef_jax.model.decoders.TextHead.__call__",
        "[sentence, period]",
        "[period, sentence]",
        "TextHead",
    ),
]

BOTTLENECK = [
    Mutation(
        "noise not orthogonal to the mean",
        _VMF,
        "noise.direction - jnp.sum(noise.direction * mean, axis=-1, keepdims=True) * mean",
        "noise.direction",
        _FISHER,
    ),
    Mutation(
        "radial part halved",
        _VMF,
        "along, across = 1 - noise.radial,",
        "along, across = 1 - noise.radial / 2,",
        _FISHER,
    ),
    Mutation(
        "noise of one source reused for all",
        _OBJECTIVE,
        "von_mises_fisher(fields, noise)",
        "von_mises_fisher(fields, jax.tree.map(lambda x: jnp.broadcast_to(x[:, :1], x.shape), noise))",
        "objective",
    ),
]

LOSSES = [
    Mutation(
        "mean over masked pixels",
        _SHIFT,
        "jnp.where(counted > 0, error(prediction, target[window]) * counted, 0)",
        "error(prediction, target[window])",
        _ERROR,
    ),
    Mutation(
        "wrong reduction: sequences count alike",
        _SHIFT,
        "jnp.sum(best * totals) / jnp.maximum(jnp.sum(totals), 1)",
        "jnp.mean(best)",
        _ERROR,
    ),
    Mutation(
        "a shift too few", _SHIFT, "down**2 + right**2 <= radius**2", "down**2 + right**2 < max(radius**2, 1)", _ERROR
    ),
    Mutation("the worst shift counts", _SHIFT, ".min(axis=0)", ".max(axis=0)", _ERROR),
    Mutation(
        "grid moved the wrong way",
        "aef_jax.training.losses._membership",
        "+ offset[:, None]",
        "- offset[:, None]",
        _ERROR,
    ),
    Mutation(
        "squared error",
        "aef_jax.training.losses.l1",
        "difference * jnp.sign(difference)",
        "difference * difference",
        _ERROR,
    ),
    Mutation(
        "softmax over the wrong axis",
        _ERROR,
        "jax.nn.softmax(prediction)",
        "jax.nn.softmax(prediction, axis=1)",
        _ERROR,
    ),
    Mutation(
        "batch rolled on the wrong axis",
        "aef_jax.training.losses.uniformity",
        "axis=0",
        "axis=1",
        "aef_jax.training.losses.uniformity",
    ),
    Mutation(
        "no absolute value",
        "aef_jax.training.losses.uniformity",
        "jnp.mean(l1(cosine, jnp.zeros_like(cosine)))",
        "jnp.mean(cosine)",
        "aef_jax.training.losses.uniformity",
    ),
    Mutation(
        "factor of a half missing",
        "aef_jax.training.losses.consistency",
        "axis=-1)) / 2)",
        "axis=-1)))",
        "aef_jax.training.losses.consistency",
    ),
    Mutation(
        "temperature multiplies",
        "aef_jax.training.losses.clip",
        "/ temperature",
        "* temperature",
        "aef_jax.training.losses.clip",
    ),
    Mutation(
        "texts do not find their places",
        "aef_jax.training.losses.clip",
        "-(rows + columns) / 2",
        "-rows",
        "aef_jax.training.losses.clip",
    ),
    Mutation(
        "absent texts compete",
        "aef_jax.training.losses.clip",
        "jnp.where(present[:, None] & present, logits, jnp.finfo(logits.dtype).min)",
        "logits",
        "aef_jax.training.losses.clip",
    ),
]

OBJECTIVE = [
    Mutation(
        "weights of the sources ignored",
        "aef_jax.training.objective._weighted_mean",
        "source.weight / total",
        "1 / len(sources)",
        "objective",
    ),
    Mutation(
        "the student sees other frames",
        "aef_jax.training.objective._student_frames",
        "index = jnp.where(present, index, 0)",
        "index = jnp.zeros_like(index)",
        "objective",
    ),
    Mutation(
        "the student is told the bands of other frames",
        "aef_jax.training.objective._student_frames",
        "timecodes, present, bands)",
        "timecodes, present, jnp.roll(bands, 1, axis=1))",
        "objective",
    ),
    Mutation(
        "row and column of a text swapped",
        _OBJECTIVE,
        "text.pixel[:, 0], text.pixel[:, 1]",
        "text.pixel[:, 1], text.pixel[:, 0]",
        "objective",
    ),
    Mutation(
        "gradient to the teacher stopped",
        _OBJECTIVE,
        "losses.consistency(shared,",
        "losses.consistency(jax.lax.stop_gradient(shared),",
        "objective",
    ),
    Mutation(
        "the student's period is another one",
        _OBJECTIVE,
        "model(_student_frames(batch), batch.shared_period[:, None])",
        "model(_student_frames(batch), batch.shared_period[:, None] * 0)",
        "objective",
    ),
]
