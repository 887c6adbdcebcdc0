"""What a person sees of a run while it trains: the bar, the metrics, the held-out scores and the pictures."""

import math
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

import jax
import numpy as np
from flax import nnx
from jax.sharding import Mesh
from tqdm import tqdm

from aef_jax.data.loading.pipeline import HostExamples
from aef_jax.data.loading.training_data import TrainingData
from aef_jax.data.store.site import Period, Site
from aef_jax.evaluation.validation import Evaluator, ValidationReconstruction
from aef_jax.inference.embed import embed_with, make_embedder
from aef_jax.run.folder import RunFolder
from aef_jax.sharding.compiler_options import compiler_options
from aef_jax.sharding.distributed import on_first
from aef_jax.sharding.mesh import replicated
from aef_jax.training.metrics import MetricsWriter
from aef_jax.training.step import Terms
from aef_jax.training.throughput import Throughput, unknown_peak_note
from aef_jax.visualize.pictures import (
    Reconstruction,
    has_true_colour,
    read_metrics,
    write_field_png,
    write_loss_curves_png,
    write_reconstructions_png,
)
from configs.batch import Batch
from configs.config import Config
from configs.encodings.timecode import DAY_MS
from configs.fields.tiling import default_support

PICTURED = 4
"""Held-out examples in the picture of reconstructions, spread over the year."""


class Pending(NamedTuple):
    """One step's terms, still on the device."""

    step: int
    terms: Terms
    batch: Batch


class Reporter:
    """Called by the training loop; holds no state that training depends on."""

    def __init__(
        self,
        config: Config,
        folder: RunFolder,
        data: TrainingData,
        examples: HostExamples,
        mesh: Mesh,
        resumed_at: int,
    ):
        self.config, self.folder, self.data, self.examples = config, folder, data, examples
        self.evaluator = Evaluator(data.schema, config, mesh, max(map(len, data.validation.values()), default=0))
        self.validation = {kind: self.evaluator.needed(examples) for kind, examples in data.validation.items()}
        self.reconstructions: list[ValidationReconstruction] = []
        self.writer = MetricsWriter(folder.metrics_path, folder.tensorboard, resumed_at)
        self.bar = tqdm(total=config.training.steps, initial=resumed_at, unit="step", disable=jax.process_index() > 0)
        self.bar.set_postfix_str("compiling the step")
        self.throughput = Throughput(config, data.schema)
        if (unknown := unknown_peak_note(jax.devices()[0])) and jax.process_index() == 0:
            self.bar.write(f"aef: {unknown}", file=sys.stderr)
        self.embedder = make_embedder(config)
        options = compiler_options(mesh)
        self.gather = jax.jit(lambda params: params, out_shardings=replicated(mesh), compiler_options=options)
        self.pending: Pending | None = None
        self.since, self.waited = time.perf_counter(), 0.0

    def __enter__(self) -> "Reporter":
        return self

    def __exit__(self, *_) -> None:
        self.bar.close()
        self.writer.close()

    def wait_for(self, batches: Iterator[Batch]) -> Batch:
        """The next batch; takes note of how long it took to come."""
        asked = time.perf_counter()
        batch = next(batches)
        self.waited += time.perf_counter() - asked
        return batch

    def step(self, step: int, terms: Terms, batch: Batch) -> None:
        """Takes note of a step under way, and reports the one before: fetching this one's terms would wait for it.

        One that is done already, as where a CPU computes in the thread that asks, is reported at once: its time ends
        here. Of several processes none does so: where too many steps were skipped, all must say so after the same one.
        """
        self.flush()
        self.pending = Pending(step, terms, batch)
        ready = (term.is_ready() for term in terms.values())  # pyright: ignore[reportAttributeAccessIssue]
        if jax.process_count() == 1 and all(ready):
            self.flush()

    def flush(self) -> None:
        """Reports the step that is pending. Raises FloatingPointError where too many in a row were skipped."""
        if self.pending is None:
            return
        step, terms, batch = self.pending
        self.pending = None
        values = {name: float(value) for name, value in jax.device_get(terms).items()}
        now = time.perf_counter()
        # all that was waited for a batch since the last report lies within this interval, and the next step's does not
        rates = self.throughput.rates(batch, now - self.since, self.waited)
        self.since, self.waited = now, 0.0
        self.writer.write("train", step, values)
        self.writer.write("speed", step, rates)
        skipped = f", {values['skipped']:.0f} skipped" if values["skipped"] else ""
        self.bar.set_postfix_str(f"loss {values['loss']:.3f}, {rates['frames_per_second']:.0f} frames/s{skipped}")
        self.bar.update(step - self.bar.n)
        self._check_skipped(step, values)

    def evaluate(self, step: int, params: nnx.State) -> float | None:
        """Held-out scores. Returns the held-out loss; None where nothing is held out."""
        self.flush()
        evaluations = {kind: self.evaluator(params, examples) for kind, examples in self.validation.items()}
        scores = {kind: self.evaluator.scores(evaluation) for kind, evaluation in evaluations.items()}
        for kind, values in scores.items():
            self.writer.write(kind, step, values)
        self.reconstructions = evaluations["heldout"].reconstructions if evaluations else []
        return scores["heldout"]["reconstruction"] if scores else None

    def draw(self, step: int, params: nnx.State) -> None:
        """The pictures of the run as it stands, after the evaluation of the same step; and after its checkpoint, which
        no picture may delay.

        The first host draws, for as long as it takes. The others wait for it here: they could do no more than one step
        without it, and after the last one JAX would wait no longer than SHUTDOWN_S.
        """
        # the field is computed by one device of one host, which then needs all parameters for itself
        whole = jax.tree.map(lambda leaf: leaf.addressable_data(0), self.gather(params))
        on_first(lambda: self._try_to_draw(step, whole))
        self.reconstructions = []  # hundreds of megabytes, until the next evaluation
        self.since = time.perf_counter()

    def _check_skipped(self, step: int, values: dict[str, float]) -> None:
        skipped = int(values["consecutive_skips"])
        if skipped >= self.config.training.max_consecutive_skips:
            name = "loss" if not math.isfinite(values["loss"]) else "gradient's norm"
            value = values["loss"] if name == "loss" else values["gradient_norm"]
            raise FloatingPointError(
                f"step {step}: the {name} is {value}, and {skipped} steps in a row were skipped for such; the"
                f" batch is of the training records {sorted(set(self.examples.records(step)))};"
                " the last checkpoint is kept"
            )

    def _try_to_draw(self, step: int, params: nnx.State) -> None:
        try:
            self._draw(step, params)
        except Exception as error:  # no picture is worth a run: of one host alone, the others would wait for it
            reason = str(error).partition("\n")[0] or type(error).__name__
            self.bar.write(f"aef: step {step}: the pictures could not be drawn: {reason}", file=sys.stderr)

    def _draw(self, step: int, params: nnx.State) -> None:
        source, site = self.evaluator.source, self.data.pictured
        if self.reconstructions and has_true_colour(source):
            by_time = sorted(self.reconstructions, key=lambda r: r.example.time_ms)
            chosen = [by_time[i] for i in np.linspace(0, len(by_time) - 1, PICTURED + 2).astype(int)[1:-1]]
            rows = [
                Reconstruction(_day(r.example.time_ms), target.pixels, r.prediction, target.valid)
                for r in chosen
                for target in [r.example.batch.targets[source.name]]
            ]
            write_reconstructions_png(
                self.folder.picture("reconstructions"), rows, source, self.data.schema.normalization
            )
        write_loss_curves_png(self.folder.picture("losses"), read_metrics(self.folder.metrics_path))
        period = site.support or _last_year(site, self.config)
        normalized = self.data.schema.normalization.apply(site, self.data.schema.input_sources)
        support = site.support or default_support(period, self.config)
        field = embed_with(self.embedder, params, normalized, self.config, period, support)
        title = f"Embedding field of {site.name}, {_day(period[0])} to {_day(period[1])}, step {step}"
        write_field_png(self.folder.picture("field"), field, title)


def _last_year(site: Site, config: Config) -> Period:
    end = max(int(series.time_ms[-1]) for series in site.series.values() if len(series.time_ms)) + 1
    return end - config.data.support_days * DAY_MS, end


def _day(time_ms: int) -> str:
    return str(np.datetime64(time_ms, "ms").astype("datetime64[D]"))
