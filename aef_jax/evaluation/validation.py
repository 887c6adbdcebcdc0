"""Evaluate a model on validation examples: error of each source, two baseline forecasts and a linear probe."""

from collections.abc import Iterable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh
from jaxtyping import Array, Float, Float32

from aef_jax.data.loading.pipeline import stack
from aef_jax.data.sampling.examples import DatasetSchema
from aef_jax.data.sampling.validation import ValidationExample, evaluated_source
from aef_jax.evaluation.linear_probe import probe_score
from aef_jax.model.alphaearth import AlphaEarth
from aef_jax.sharding.compiler_options import compiler_options
from aef_jax.sharding.mesh import replicated, sequence_parts, with_mesh
from aef_jax.sharding.placement import host_rows, to_devices
from aef_jax.training.objective import Terms, reconstruct, targeted_sources
from aef_jax.training.step import abstract_model
from configs.batch import Batch
from configs.config import Config


@dataclass(frozen=True)
class ValidationReconstruction:
    """One validation example and the model's output for it. All pixels are z-scored."""

    example: ValidationExample
    prediction: Float32[np.ndarray, "H W C"]
    """Reconstruction of the source that is compared with forecasts."""
    embedding: Float32[np.ndarray, "H W D"]
    """Embedding field of the whole support period."""


@dataclass(frozen=True)
class Evaluation:
    """The results of all validation examples of one kind."""

    reconstructions: list[ValidationReconstruction]
    errors: dict[str, float]
    """Mean loss of each source that some example shows, reconstructed from mu without the bottleneck's noise."""

    @property
    def collapse(self) -> float:
        """Mean |mu . mu'| over the pixels of pairs of examples, most of which show different ground.

        It is 1 for a collapsed model and about sqrt(2 / (pi D)) for embeddings that fill the sphere. The examples of a
        pair are half of the list apart.
        """
        mu = np.stack([each.embedding for each in self.reconstructions])
        return float(np.abs((mu * np.roll(mu, len(mu) // 2, axis=0)).sum(axis=-1)).mean())


class Evaluator:
    """Reconstructs validation examples.

    Args:
        schema: of the data set.
        config: of the run.
        mesh: of the training step.
        max_examples: the most examples to compute at once; they are never more than training computes at once.
    """

    def __init__(self, schema: DatasetSchema, config: Config, mesh: Mesh, max_examples: int):
        self.config, self.mesh = config, mesh
        concurrent = min(config.training.batch // config.training.grad_accum_steps, max_examples)
        split = sequence_parts(mesh)
        self.batch = max(1, -(-concurrent // split)) * split
        self.rows = host_rows(self.batch, mesh)
        self.source = source = evaluated_source(schema)
        graph, _ = abstract_model(config)

        def evaluate(params: nnx.State, batch: Batch):
            predictions, mu, terms = reconstruct_from_mu(nnx.merge(graph, params), batch, config)
            return predictions[source.name], mu, terms

        options = compiler_options(mesh)
        self.evaluate = jax.jit(with_mesh(mesh, evaluate), out_shardings=replicated(mesh), compiler_options=options)

    def without_unused_frames(self, examples: Iterable[ValidationExample]) -> list[ValidationExample]:
        """Drop the frames of examples that other hosts compute. Scores and pictures do not need them.

        One example of `paper` with all frames of a year has 50 to 100 MB.

        Args:
            examples: all validation examples of one kind.

        Returns:
            All examples in their order, to be passed to every evaluation.
        """
        rows = set(self.rows)
        return [
            example if index % self.batch in rows else example.without_frames()
            for index, example in enumerate(examples)
        ]

    def __call__(self, params: nnx.State, examples: list[ValidationExample]) -> Evaluation:
        """Evaluate a model.

        Args:
            params: of the model.
            examples: the result of `without_unused_frames`.

        Returns:
            The reconstructions, in the order of the examples, and their errors.
        """
        reconstructions, sums, counts = [], {}, {}
        for start in range(0, len(examples), self.batch):
            part = examples[start : start + self.batch]
            predictions, embeddings, terms = jax.device_get(self.evaluate(params, self._to_devices(part)))
            outputs = zip(part, predictions, embeddings, strict=False)
            reconstructions += [ValidationReconstruction(*each) for each in outputs]
            for name, count in _count_valid(part).items():
                sums[name] = sums.get(name, 0.0) + count * float(terms[f"reconstruction/{name}"])
                counts[name] = counts.get(name, 0) + count
        errors = {name: sums[name] / counts[name] for name in sums if counts[name]}
        return Evaluation(reconstructions, errors)

    def scores(self, evaluation: Evaluation) -> dict[str, float]:
        """Compute the metrics of an evaluation.

        Args:
            evaluation: of one kind of validation examples.

        Returns:
            Metrics by name. `reconstruction` is the validation loss: the mean of all sources' errors under the sources'
            weights. `l1`, `l1_mean` and `l1_persistence` are the mean L1, in standard deviations over all valid
            elements, of the model, of the training mean and of the nearest clear frame. `probe` is the balanced
            accuracy of a linear probe, `probe/NAME` if there are several label maps; it is left out without labels.
        """
        errors = evaluation.errors
        weights = {source.name: source.weight for source in self.config.sources if source.name in errors}
        total = sum(weights.values())
        loss = sum(weights[name] * errors[name] for name in weights) / total if total else 0.0
        scores = {f"reconstruction/{name}": error for name, error in errors.items()}
        scores |= {"reconstruction": loss, "collapse": evaluation.collapse, **self._l1(evaluation.reconstructions)}
        return scores | probe_scores(evaluation.reconstructions)

    def _l1(self, reconstructions: list[ValidationReconstruction]) -> dict[str, float]:
        sums = np.zeros(4)
        for each in reconstructions:
            target = each.example.batch.targets[self.source.name]
            forecasts = each.prediction, 0, each.example.persistence
            errors = [np.abs(target.pixels - forecast)[target.valid].sum() for forecast in forecasts]
            sums += [*errors, target.valid.sum()]
        names = ("l1", "l1_mean", "l1_persistence")
        return {f"{name}/{self.source.name}": float(total / sums[3]) for name, total in zip(names, sums, strict=False)}

    def _to_devices(self, examples: list[ValidationExample]) -> Batch:
        """Pad a batch to one shape, so that nothing is compiled twice. The padding has no valid pixels."""
        batches = [example.batch for example in examples]
        invalid = {name: t._replace(valid=np.zeros_like(t.valid)) for name, t in batches[-1].targets.items()}
        batches += [batches[-1]._replace(targets=invalid)] * (self.batch - len(batches))
        return to_devices(stack([batches[row] for row in self.rows]), self.mesh)


def reconstruct_from_mu(
    model: AlphaEarth, batch: Batch, config: Config
) -> tuple[dict[str, Float[Array, "B H W O"]], Float[Array, "B H W D"], Terms]:
    """Reconstruct every source from mu itself: the bottleneck's noise is only for training.

    Args:
        model: the model.
        batch: validation examples.
        config: of the run.

    Returns:
        The predictions by source name, the embedding fields of the shared period, and the errors of `reconstruct`.
    """
    sources = targeted_sources(batch, config)
    periods = [*(batch.targets[source.name].period for source in sources), batch.shared_period]
    mu = model(batch.frames, jnp.stack(periods, axis=1))
    predictions, terms = reconstruct(model, batch, mu[:, :-1], sources)
    return predictions, mu[:, -1], terms


def probe_scores(reconstructions: list[ValidationReconstruction]) -> dict[str, float]:
    """Score a linear probe of each label map that several examples have.

    Args:
        reconstructions: of one kind of validation examples.

    Returns:
        Balanced accuracies: `probe` if there is one map, otherwise `probe/NAME`.
    """
    names = sorted({name for each in reconstructions for name in each.example.labels})
    scores = {}
    for name in names:
        probed = [(r.embedding, r.example.labels[name]) for r in reconstructions if name in r.example.labels]
        if len(probed) > 1:
            scores["probe" if len(names) == 1 else f"probe/{name}"] = probe_score(*zip(*probed, strict=True), seed=0)
    return scores


def _count_valid(examples: list[ValidationExample]) -> dict[str, int]:
    """Count the valid elements of each source."""
    names = examples[0].batch.targets
    return {name: sum(int(example.batch.targets[name].valid.sum()) for example in examples) for name in names}
