"""Faults in operators, blocks, pyramid, summary and the model that contains them."""

from parity.comparison.mutation import Mutation

OPERATORS = [
    Mutation(
        "residual of the space operator dropped",
        "aef_jax.model.operators.SpaceOperator.__call__",
        "cells = cells + self.mlp",
        "cells = self.mlp",
        "SpaceOperator",
    ),
    Mutation(
        "rows and columns swapped",
        "aef_jax.model.operators.SpaceOperator.__call__",
        "b t (h w) c -> b t h w c",
        "b t (w h) c -> b t h w c",
        "SpaceOperator",
    ),
    Mutation(
        "norm before attention along time left out",
        "aef_jax.model.operators.TimeOperator.__call__",
        "self.attention(self.norm_attention(series), key_mask)",
        "self.attention(series, key_mask)",
        "TimeOperator",
    ),
    Mutation(
        "mask of absent frames inverted",
        "aef_jax.model.operators.TimeOperator.__call__",
        "jnp.broadcast_to(present[",
        "jnp.broadcast_to(~present[",
        "TimeOperator",
    ),
    Mutation(
        "timecode in float32",
        "aef_jax.model.operators.TimeOperator.__call__",
        "self.condition(timecodes)",
        "self.condition(timecodes.astype(jnp.float32).astype(x.dtype))",
        "TimeOperator",
    ),
    Mutation(
        "convolutions in the wrong order",
        "aef_jax.model.operators.PrecisionOperator.__call__",
        "self.second(gelu(self.first(self.norm(x))))",
        "self.first(gelu(self.second(self.norm(x))))",
        "PrecisionOperator",
    ),
]

BLOCKS = [
    Mutation(
        "absent frames not blanked",
        "aef_jax.model.stp.SourceEncoder.__call__",
        "jnp.where(present[:, :, None, None, None], pixels, 0)",
        "pixels",
        "SourceEncoder",
    ),
    Mutation(
        "mask of bands inverted",
        "aef_jax.model.stp.SourceEncoder.__call__",
        "present[..., None] & ~bands",
        "present[..., None] & bands",
        "SourceEncoder",
    ),
    Mutation(
        "missing bands ignored",
        "aef_jax.model.stp.MissingBands.__call__",
        "missing.astype",
        "jnp.zeros_like(missing).astype",
        "MissingBands",
    ),
    Mutation(
        "two blocks in the wrong order",
        "aef_jax.model.stp.STPEncoder._run_blocks",
        "in zip(*(jnp.unstack(leaf) for leaf in leaves), strict=True)",
        "in reversed(list(zip(*(jnp.unstack(leaf) for leaf in leaves), strict=True)))",
        "STPEncoder",
    ),
    Mutation(
        "gradient stopped behind the time operator",
        "aef_jax.model.stp.STPBlock.__call__",
        "self.time(time, timecodes, present)",
        "jax.lax.stop_gradient(self.time(time, timecodes, present))",
        "STPBlock",
    ),
    Mutation(
        "space operator left out", "aef_jax.model.stp.STPBlock.__call__", "self.space(space)", "space", "STPBlock"
    ),
    Mutation(
        "precision state not carried to the end",
        "aef_jax.model.stp.STPEncoder.__call__",
        "precision, time, space = self._run_blocks",
        "_, time, space = self._run_blocks",
        "STPEncoder",
    ),
    Mutation(
        "lateral step of the pyramid left out",
        "aef_jax.model.pyramid.Exchange.__call__",
        "self.synthesis(precision, lateral,",
        "self.synthesis(precision, None,",
        "Exchange",
    ),
    Mutation(
        "GELU of the exchange left out",
        "aef_jax.model.pyramid.Exchange.__call__",
        "gelu(lateral)",
        "lateral",
        "Exchange",
    ),
    Mutation(
        "norm of the wrong state",
        "aef_jax.model.pyramid.Exchange.__call__",
        "self.to_space(self.norm_time(time))",
        "self.to_space(time)",
        "Exchange",
    ),
    Mutation(
        "residual of the synthesis dropped",
        "aef_jax.model.pyramid.Synthesis.__call__",
        "return precision + self",
        "return self",
        "Synthesis",
    ),
]

_SUMMARY = "aef_jax.model.summary.TemporalSummary.__call__"

SUMMARY = [
    Mutation(
        "times of the keys left out", _SUMMARY, " + self.time(timecodes)[:, :, None, None]", "", "TemporalSummary"
    ),
    Mutation("query does not join the field", _SUMMARY, " + query[:, :, None, None]", "", "TemporalSummary"),
    Mutation("absent frames summarised", _SUMMARY, "present[:, None, None, None, None]", "None", "TemporalSummary"),
    Mutation("scale of the summary missing", _SUMMARY, " * q.shape[-1] ** -0.5", "", "TemporalSummary"),
    Mutation(
        "no unit vector",
        _SUMMARY,
        "constrain(unit(self.upsample(field))",
        "constrain(self.upsample(field)",
        "TemporalSummary",
    ),
    Mutation(
        "start and end of the period swapped",
        _SUMMARY,
        "start, end = jnp",
        "end, start = jnp",
        "TemporalSummary",
        equivalent="both go through the same weights and are added: a + b is b + a; the query's own network sees them"
        " in their order",
    ),
]

MODEL = [
    Mutation(
        "sources in another order",
        "aef_jax.model.alphaearth.AlphaEarth.encode",
        "for name in self.inputs if name in frames",
        "for name in reversed(self.inputs) if name in frames",
        "AlphaEarth",
        equivalent="attention along time has no positions but timecodes, which are in the same order as the frames; all"
        " else treats each frame by itself",
    ),
    Mutation(
        "timecodes of absent frames not blanked",
        "aef_jax.model.alphaearth.AlphaEarth.encode",
        "timecodes = jnp.where(present[..., None], timecodes.astype(self.dtype), 0)",
        "timecodes = timecodes.astype(self.dtype)",
        "AlphaEarth",
    ),
    Mutation(
        "timecodes of the wrong frames",
        "aef_jax.model.alphaearth.AlphaEarth.encode",
        "frames[name].timecodes for name in sources",
        "frames[name].timecodes[:, ::-1] for name in sources",
        "AlphaEarth",
    ),
]
