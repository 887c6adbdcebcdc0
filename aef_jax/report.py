"""What a person sees of a run while it trains: the bar, the metrics, the held-out scores and the pictures."""

import math
import time
from typing import NamedTuple

import jax
import numpy as np
from flax import nnx
from tqdm import tqdm

from aef_jax.data.heldout import HeldoutExample
from aef_jax.data.scaling import Normalisation
from aef_jax.data.site import Site
from aef_jax.embed import embed_with, make_embedder
from aef_jax.evaluate import Evaluator, HeldoutReconstruction
from aef_jax.metrics import MetricsWriter
from aef_jax.pictures import (
    Reconstruction,
    read_metrics,
    write_field_png,
    write_loss_curves_png,
    write_reconstructions_png,
)
from aef_jax.run_folder import RunFolder
from aef_jax.sharding import replicated
from aef_jax.step import Terms
from configs.batch import Batch
from configs.run import Config
from configs.timecode import DAY_MS

PICTURED = 4
"""Held-out examples in the picture of reconstructions, spread over the year."""


class Pending(NamedTuple):
    """One step's terms, still on the device."""

    step: int
    terms: Terms
    frames: int


class Reporter:
    """Called by the training loop; holds no state that training depends on."""

    def __init__(
        self,
        config: Config,
        folder: RunFolder,
        writer: MetricsWriter,
        bar: tqdm,
        evaluator: Evaluator,
        heldout: dict[str, list[HeldoutExample]],
        whole: Site,
        normalisation: Normalisation,
    ):
        self.config, self.folder, self.writer, self.bar = config, folder, writer, bar
        self.evaluator, self.heldout = evaluator, heldout
        self.whole, self.normalisation = whole, normalisation
        self.embedder = make_embedder(config)
        self.gather = jax.jit(lambda params: params, out_shardings=replicated(evaluator.mesh))
        self.pending: Pending | None = None
        self.since = time.perf_counter()

    def step(self, step: int, terms: Terms, batch: Batch) -> None:
        """Takes note of a step under way, and reports the one before: fetching this one's terms would wait for it."""
        self.flush()
        self.pending = Pending(step, terms, sum(int(frames.present.sum()) for frames in batch.frames.values()))

    def flush(self) -> None:
        """Reports the step that is pending. Raises FloatingPointError where it is not finite."""
        if self.pending is None:
            return
        step, terms, frames = self.pending
        self.pending = None
        values = {name: float(value) for name, value in jax.device_get(terms).items()}
        now = time.perf_counter()
        values["frames_per_second"] = frames * jax.process_count() / (now - self.since)
        self.since = now
        self.writer.write("train", step, values)
        self.bar.set_postfix_str(
            f"loss {values['loss']:.3f}, reconstruction {values['reconstruction']:.3f},"
            f" {values['frames_per_second']:.0f} frames/s"
        )
        self.bar.update(step - self.bar.n)
        for name, value in (("loss", values["loss"]), ("gradient's norm", values["gradient_norm"])):
            if not math.isfinite(value):
                raise FloatingPointError(f"step {step}: the {name} is {value}; the last checkpoint is kept")

    def evaluate(self, step: int, params: nnx.State) -> None:
        """Held-out scores, and the pictures of the run as it stands."""
        self.flush()
        reconstructions = {kind: self.evaluator(params, examples) for kind, examples in self.heldout.items()}
        for kind, made in reconstructions.items():
            self.writer.write(kind, step, self.evaluator.scores(made))
        # the field is computed by one device of one host, which then needs all parameters for itself
        gathered = self.gather(params)
        if jax.process_index() == 0:
            self._draw(
                step, reconstructions["heldout"], jax.tree.map(lambda whole: whole.addressable_data(0), gathered)
            )
        self.since = time.perf_counter()

    def _draw(self, step: int, reconstructions: list[HeldoutReconstruction], params: nnx.State) -> None:
        source = self.evaluator.source
        by_time = sorted(reconstructions, key=lambda r: r.example.time_ms)
        chosen = [by_time[i] for i in np.linspace(0, len(by_time) - 1, PICTURED + 2).astype(int)[1:-1]]
        rows = [
            Reconstruction(_day(r.example.time_ms), target.pixels, r.prediction, target.valid)
            for r in chosen
            for target in [r.example.batch.targets[source.name]]
        ]
        write_reconstructions_png(self.folder.picture("reconstructions"), rows, source, self.normalisation)
        write_loss_curves_png(self.folder.picture("losses"), read_metrics(self.folder.metrics_path))
        end = int(self.whole.series[source.name].time_ms[-1]) + 1
        period = end - self.config.data.support_days * DAY_MS, end
        field = embed_with(self.embedder, params, self.whole, self.config, period)
        title = f"Embedding field of {self.whole.name}, {_day(period[0])} to {_day(period[1])}, step {step}"
        write_field_png(self.folder.picture("field"), field, title)


def _day(time_ms: int) -> str:
    return str(np.datetime64(time_ms, "ms").astype("datetime64[D]"))
