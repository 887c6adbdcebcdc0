"""Held-out evaluation: each source's own error; beside two forecasts that must be beaten; and a linear probe."""

from collections.abc import Iterable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh
from jaxtyping import Float32

from aef_jax.data.loading.pipeline import stack
from aef_jax.data.sampling.examples import DatasetSchema
from aef_jax.data.sampling.validation import ValidationExample, evaluated_source
from aef_jax.evaluation.linear_probe import probe_score
from aef_jax.sharding.compiler_options import compiler_options
from aef_jax.sharding.mesh import replicated, sequence_parts, with_mesh
from aef_jax.sharding.placement import host_rows, to_devices
from aef_jax.training.objective import reconstruct, targeted_sources
from aef_jax.training.step import abstract_model
from configs.batch import Batch
from configs.config import Config


@dataclass(frozen=True)
class ValidationReconstruction:
    """One held-out example and what the model made of it; all z-scored."""

    example: ValidationExample
    prediction: Float32[np.ndarray, "H W C"]
    """Of the source that is compared with forecasts."""
    embedding: Float32[np.ndarray, "H W D"]
    """Of the whole support period."""


@dataclass(frozen=True)
class Evaluation:
    """What the held-out examples of one kind gave."""

    reconstructions: list[ValidationReconstruction]
    errors: dict[str, float]
    """The mean error of each source that some example shows, by its own loss, from mu itself: without noise."""

    @property
    def collapse(self) -> float:
        """mean |mu . mu'| over pixels of examples half of them apart, which mostly are of other ground.

        1 is a collapsed model, about sqrt(2 / (pi D)) one that fills the sphere.
        """
        mu = np.stack([made.embedding for made in self.reconstructions])
        return float(np.abs((mu * np.roll(mu, len(mu) // 2, axis=0)).sum(axis=-1)).mean())


class Evaluator:
    """Reconstructs held-out examples."""

    def __init__(self, schema: DatasetSchema, config: Config, mesh: Mesh, most: int):
        """Of up to `most` examples at once, and no more than training computes at once."""
        self.config, self.mesh = config, mesh
        at_once = min(config.training.batch // config.training.grad_accum_steps, most)
        split = sequence_parts(mesh)
        self.batch = max(1, -(-at_once // split)) * split
        self.rows = host_rows(self.batch, mesh)
        self.source = source = evaluated_source(schema)
        graph, _ = abstract_model(config)

        def evaluate(params: nnx.State, batch: Batch):
            """From mu itself: the bottleneck's noise belongs to training."""
            model, sources = nnx.merge(graph, params), targeted_sources(batch, config)
            periods = [*(batch.targets[source.name].period for source in sources), batch.shared_period]
            mu = model(batch.frames, jnp.stack(periods, axis=1))
            predictions, terms = reconstruct(model, batch, mu[:, :-1], sources)
            return predictions[source.name], mu[:, -1], terms

        options = compiler_options(mesh)
        self.evaluate = jax.jit(with_mesh(mesh, evaluate), out_shardings=replicated(mesh), compiler_options=options)

    def needed(self, examples: Iterable[ValidationExample]) -> list[ValidationExample]:
        """All examples, to be kept for every evaluation: the frames of those alone that this host's devices compute.

        Of the others, scores and pictures need no frames; with all of a year's, one of `paper` has 50 to 100 MB.
        """
        rows = set(self.rows)
        return [
            example if place % self.batch in rows else example.without_frames()
            for place, example in enumerate(examples)
        ]

    def __call__(self, params: nnx.State, examples: list[ValidationExample]) -> Evaluation:
        """Of what is `needed` of the examples, all of them and in their order."""
        reconstructions, sums, counts = [], {}, {}
        for start in range(0, len(examples), self.batch):
            chosen = examples[start : start + self.batch]
            predictions, embeddings, terms = jax.device_get(self.evaluate(params, self._to_devices(chosen)))
            made = zip(chosen, predictions, embeddings, strict=False)
            reconstructions += [ValidationReconstruction(*each) for each in made]
            for name, count in _valid(chosen).items():
                sums[name] = sums.get(name, 0.0) + count * float(terms[f"reconstruction/{name}"])
                counts[name] = counts.get(name, 0) + count
        errors = {name: sums[name] / counts[name] for name in sums if counts[name]}
        return Evaluation(reconstructions, errors)

    def scores(self, evaluation: Evaluation) -> dict[str, float]:
        """The metrics of an evaluation: every source's error and their mean under the sources' weights, which is the
        held-out loss; mean L1 over all valid elements, in standard deviations, of model, mean and persistence; the
        balanced accuracy of a linear probe, where examples have labels."""
        errors = evaluation.errors
        weights = {source.name: source.weight for source in self.config.sources if source.name in errors}
        total = sum(weights.values())
        loss = sum(weights[name] * errors[name] for name in weights) / total if total else 0.0
        probed = [(r.embedding, r.example.labels) for r in evaluation.reconstructions if r.example.labels is not None]
        scores = {f"reconstruction/{name}": error for name, error in errors.items()}
        scores |= {"reconstruction": loss, "collapse": evaluation.collapse, **self._l1(evaluation.reconstructions)}
        if len(probed) > 1:
            scores["probe"] = probe_score(*zip(*probed, strict=True), seed=0)
        return scores

    def _l1(self, reconstructions: list[ValidationReconstruction]) -> dict[str, float]:
        sums = np.zeros(4)
        for made in reconstructions:
            target = made.example.batch.targets[self.source.name]
            forecasts = made.prediction, 0, made.example.persistence
            errors = [np.abs(target.pixels - forecast)[target.valid].sum() for forecast in forecasts]
            sums += [*errors, target.valid.sum()]
        names = ("l1", "l1_mean", "l1_persistence")
        return {f"{name}/{self.source.name}": float(total / sums[3]) for name, total in zip(names, sums, strict=False)}

    def _to_devices(self, examples: list[ValidationExample]) -> Batch:
        """A batch of one shape, so that nothing compiles twice; it is filled up with what is not valid, and may have
        no frames."""
        batches = [example.batch for example in examples]
        nothing = {name: t._replace(valid=np.zeros_like(t.valid)) for name, t in batches[-1].targets.items()}
        batches += [batches[-1]._replace(targets=nothing)] * (self.batch - len(batches))
        return to_devices(stack([batches[row] for row in self.rows]), self.mesh)


def _valid(examples: list[ValidationExample]) -> dict[str, int]:
    """Valid elements of each source."""
    names = examples[0].batch.targets
    return {name: sum(int(example.batch.targets[name].valid.sum()) for example in examples) for name in names}
