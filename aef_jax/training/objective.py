"""One step's loss: teacher and student with the same parameters (paper, S4).

Mirror: aef_torch/training/objective.py.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Shaped

from aef_jax.model.alphaearth import AlphaEarth
from aef_jax.model.bottleneck import von_mises_fisher
from aef_jax.sharding.mesh import constrain
from aef_jax.training import losses
from configs.batch import Batch, BottleneckNoise, Frames, Text
from configs.config import Config
from configs.source import Source

Terms = dict[str, Float[Array, ""]]


def objective(
    model: AlphaEarth, batch: Batch, noise: BottleneckNoise, config: Config
) -> tuple[Float[Array, ""], Terms]:
    """Compute the loss and its terms, as a pure function of (parameters, batch, noise).

    One teacher pass gives a field for each target's period, one for the period that teacher and student share, and one
    for the text's period. A term whose weight is 0 is not computed.

    Args:
        model: the model.
        batch: the data of a step.
        noise: the bottleneck's noise, of shape (B, P, H, W); P are the targets in the order of the config's sources.
        config: the config of the run.

    Returns:
        The loss, and the terms by name, the loss among them.

    Raises:
        ValueError: the batch has nothing to learn from.
    """
    weights, terms = config.objective, {}
    sources = targeted_sources(batch, config)
    text = _without_absent(batch.text) if batch.text is not None and config.has_text and weights.text else None
    periods = [*(batch.targets[source.name].period for source in sources), batch.shared_period]
    teacher = model(batch.frames, jnp.stack(periods if text is None else [*periods, text.period], axis=1))
    fields, shared = teacher[:, : len(sources)], teacher[:, len(sources)]

    if weights.reconstruction:
        samples = von_mises_fisher(fields, noise) if weights.noise else fields
        _, terms = reconstruct(model, batch, samples, sources)
        terms["reconstruction"] = _weighted_mean(terms, sources)
    if weights.uniformity:
        terms["uniformity"] = losses.uniformity(teacher[:, : len(periods)])
    if weights.consistency:
        student = model(_student_frames(batch), batch.shared_period[:, None])
        terms["consistency"] = losses.consistency(shared, student[:, 0])
    if text is not None:
        mu = _of_each(teacher[:, -1], text.pixel[:, 0], text.pixel[:, 1])
        terms["text"] = losses.clip(mu, model.embed_text(text.sentence, text.period), text.present, weights.temperature)
    names = [name for name in ("reconstruction", "uniformity", "consistency", "text") if name in terms]
    if not names:
        raise ValueError("objective: only the text term has a weight, and the batch has no text")
    terms["loss"] = sum((getattr(weights, name) * terms[name] for name in names), start=jnp.zeros(()))
    return terms["loss"], terms


def targeted_sources(batch: Batch, config: Config) -> list[Source]:
    """List the sources of which the batch has a target, in the order of P.

    Args:
        batch: the data of a step.
        config: the config of the run.

    Returns:
        The sources.
    """
    return [source for source in config.decoded_sources if source.name in batch.targets]


def reconstruct(
    model: AlphaEarth, batch: Batch, samples: Float[Array, "B P H W D"], sources: list[Source]
) -> tuple[dict[str, Float[Array, "B H W O"]], Terms]:
    """Predict what each of P sources observed, and compare it with the targets.

    Args:
        model: the model.
        batch: the data of a step.
        samples: embeddings for each source.
        sources: the sources, in the order of P.

    Returns:
        The predictions by source name, and the mean errors by the names `reconstruction/{source name}`.
    """
    predictions, terms = {}, {}
    # unstack's gradient is one stack; indexing's would be a sum of zero-padded copies
    for source, sample in zip(sources, jnp.unstack(samples, axis=1), strict=False):
        target = batch.targets[source.name]
        prediction = model.decode(source.name, sample, target.time_code, target.metadata)
        predictions[source.name] = prediction
        terms[f"reconstruction/{source.name}"] = losses.reconstruction_error(
            source, prediction, target.pixels, target.valid, target.grid_offset
        )
    return predictions, terms


def _weighted_mean(terms: Terms, sources: list[Source]) -> Float[Array, ""]:
    """Compute mean_i(w_i f_i), with weights normalized over the sources in use."""
    total = sum(source.weight for source in sources)
    if not total:
        names = [source.name for source in sources]
        raise ValueError(f"objective: the batch has targets of {names} only, whose weights are 0")
    shares = (source.weight / total * terms[f"reconstruction/{source.name}"] for source in sources)
    return sum(shares, start=jnp.zeros(()))


def _student_frames(batch: Batch) -> dict[str, Frames]:
    """Gather the teacher's frames that the student sees. The index of an absent frame may be anything."""
    frames = {}
    for name, (pixels, timecodes, _, bands) in batch.frames.items():
        index, present = batch.student[name]
        index = jnp.where(present, index, 0)
        # a student's frame may lie on any device: each device gathers what it needs from all
        pixels, timecodes, bands = (_of_each(constrain(x, "sequence"), index) for x in (pixels, timecodes, bands))
        frames[name] = Frames(constrain(pixels, "sequence", "frame"), timecodes, present, bands)
    return frames


def _without_absent(text: Text) -> Text:
    """Set absent texts to zero: NaN in them would reach the gradients of shared parameters."""
    return Text(*(jnp.where(text.present[:, None], x, 0) for x in text[:-1]), present=text.present)


def _of_each(x: Shaped[Array, "B ..."], *index: Int[Array, "B *S"]) -> Shaped[Array, "B ..."]:
    """Take x[b, index[b], ...] for each sequence b."""
    return jax.vmap(lambda sequence, *index: sequence[index])(x, *index)
