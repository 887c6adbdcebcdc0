"""One step's loss: teacher and student under the same parameters (paper, S4; mirror: aef_torch/objective.py)."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from aef_jax import losses
from aef_jax.bottleneck import von_mises_fisher
from aef_jax.model import AlphaEarth
from configs.batch import Batch, BottleneckNoise
from configs.run import Config


def objective(
    model: AlphaEarth, batch: Batch, noise: BottleneckNoise, config: Config
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """The loss and its terms, a pure function of (parameters, batch, noise).

    `noise` has shape (B, P, H, W), P the targets in the order of the config's sources. One teacher pass gives a field
    for each target's own period and one for the period that teacher and student share. Text has no term yet.
    """
    sources = [source for source in config.decoded_sources if source.name in batch.targets]
    periods = [batch.targets[source.name].period for source in sources]
    teacher = model(batch.frames, jnp.stack([*periods, batch.shared_period], axis=1))
    student_frames = {
        name: frames._replace(present=batch.student_present[name]) for name, frames in batch.frames.items()
    }
    student = model(student_frames, batch.shared_period[:, None])

    terms = _reconstruction_terms(model, batch, von_mises_fisher(teacher[:, :-1], noise), sources)
    total = sum(source.weight for source in sources)
    shares = (s.weight / total * terms[f"reconstruction/{s.name}"] for s in sources)
    terms["reconstruction"] = sum(shares, start=jnp.zeros(()))
    terms["uniformity"] = losses.uniformity(teacher)
    terms["consistency"] = losses.consistency(teacher[:, -1], student[:, 0])
    weights = config.objective
    terms["loss"] = (
        weights.reconstruction * terms["reconstruction"]
        + weights.uniformity * terms["uniformity"]
        + weights.consistency * terms["consistency"]
    )
    return terms["loss"], terms


def _reconstruction_terms(model, batch: Batch, samples, sources) -> dict[str, Float[Array, ""]]:
    terms = {}
    for index, source in enumerate(sources):
        target = batch.targets[source.name]
        prediction = model.decode(source.name, samples[:, index], target.when, target.metadata)
        terms[f"reconstruction/{source.name}"] = losses.reconstruction_error(
            source, prediction, target.pixels, target.valid, target.grid_offset
        )
    return terms
