"""Held-out reconstruction: how far the model's is from the frame, beside two forecasts that it must beat."""

from dataclasses import dataclass

import jax
import numpy as np
from flax import nnx
from jax.sharding import Mesh
from jaxtyping import Float32

from aef_jax.data.heldout import HeldoutExample
from aef_jax.data.pipeline import stack
from aef_jax.sharding import replicated, to_devices
from aef_jax.step import abstract_model
from configs.batch import Batch
from configs.run import Config
from configs.source import Source


@dataclass(frozen=True)
class HeldoutReconstruction:
    """One held-out example and what the model made of it; all z-scored."""

    example: HeldoutExample
    prediction: Float32[np.ndarray, "H W C"]


class Evaluator:
    """Reconstructs held-out examples of one source."""

    def __init__(self, source: Source, config: Config, mesh: Mesh):
        self.source, self.mesh = source, mesh
        self.batch = config.training.batch
        graph, _ = abstract_model(config)

        def reconstruct(params: nnx.State, batch: Batch):
            """From mu itself: the bottleneck's noise belongs to training."""
            model, target = nnx.merge(graph, params), batch.targets[source.name]
            mu = model(batch.frames, target.period[:, None])
            return model.decode(source.name, mu[:, 0], target.when, target.metadata)

        self.reconstruct = jax.jit(reconstruct, out_shardings=replicated(mesh))

    def __call__(self, params: nnx.State, examples: list[HeldoutExample]) -> list[HeldoutReconstruction]:
        reconstructions = []
        for start in range(0, len(examples), self.batch):
            chosen = examples[start : start + self.batch]
            predictions = np.asarray(self.reconstruct(params, self._to_devices(chosen)))
            reconstructions += [HeldoutReconstruction(e, p) for e, p in zip(chosen, predictions, strict=False)]
        return reconstructions

    def scores(self, reconstructions: list[HeldoutReconstruction]) -> dict[str, float]:
        """Mean L1 over all valid elements, in standard deviations: the model's, the mean's and persistence's."""
        sums = np.zeros(4)
        for example, prediction in ((r.example, r.prediction) for r in reconstructions):
            target = example.batch.targets[self.source.name]
            pixels, valid = target.pixels, target.valid
            errors = [np.abs(pixels - forecast)[valid].sum() for forecast in (prediction, 0, example.persistence)]
            sums += [*errors, valid.sum()]
        names = ("l1", "l1_mean", "l1_persistence")
        return {f"{name}/{self.source.name}": float(total / sums[3]) for name, total in zip(names, sums, strict=False)}

    def _to_devices(self, examples: list[HeldoutExample]) -> Batch:
        """A batch of the training's shape, so that nothing compiles twice; the last is filled up with its last one."""
        filled = examples + [examples[-1]] * (self.batch - len(examples))
        local = self.batch // jax.process_count()
        mine = filled[jax.process_index() * local : (jax.process_index() + 1) * local]
        return to_devices(stack([example.batch for example in mine]), self.mesh)
