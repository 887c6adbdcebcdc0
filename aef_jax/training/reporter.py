"""Report a run while it trains: progress bar, metrics, validation scores and pictures."""

import math
import re
import sys
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import jax
import numpy as np
from flax import nnx
from jax.sharding import Mesh
from jaxtyping import Float32
from tqdm import tqdm

from aef_jax.console.dates import format_date, format_period
from aef_jax.data.loading.pipeline import HostExamples, count_empty
from aef_jax.data.loading.training_data import TrainingData
from aef_jax.data.store.site import Period, Site
from aef_jax.evaluation.labeled_sites import LabeledSites
from aef_jax.evaluation.validation import Evaluator, ValidationReconstruction
from aef_jax.inference.embed import CompiledEmbed
from aef_jax.inference.site import embed_site
from aef_jax.run.folder import RunFolder
from aef_jax.sharding.compiler_options import compiler_options
from aef_jax.sharding.distributed import on_first
from aef_jax.sharding.lost_process import last_checkpoint
from aef_jax.sharding.mesh import replicated
from aef_jax.training.metrics import MetricsWriter
from aef_jax.training.step import Terms
from aef_jax.training.throughput import Goodput, Throughput, unknown_peak_note
from aef_jax.visualize.loss_curves import read_metrics, write_loss_curves_png
from aef_jax.visualize.pictures import write_field_png
from aef_jax.visualize.reconstructions import Reconstruction, write_reconstructions_png
from configs.batch import Batch
from configs.config import Config
from configs.encodings.timecode import DAY_MS
from configs.fields.embedder import Embedder
from configs.serialization.printable import picture_text, sentence

NUM_PICTURED = 4
"""Number of validation examples in the picture of reconstructions, spread over the year."""


class Pending(NamedTuple):
    """A step whose terms are still on the device."""

    step: int
    terms: Terms
    batch: Batch


class Reporter:
    """The training loop's hooks for reporting. It holds no state that training depends on.

    Args:
        config: of the run.
        folder: of the run.
        data: the validation examples, and the site of the picture of an embedding field.
        examples: the training examples of this host.
        mesh: of the training step.
        resumed_at: number of steps that are already done.
        labels: to evaluate embeddings at.
    """

    def __init__(
        self,
        config: Config,
        folder: RunFolder,
        data: TrainingData,
        examples: HostExamples,
        mesh: Mesh,
        resumed_at: int,
        labels: LabeledSites | None = None,
    ):
        self.config, self.folder, self.data, self.examples, self.labels = config, folder, data, examples, labels
        self.evaluator = Evaluator(data.schema, config, mesh, max(map(len, data.validation.values()), default=0))
        self.validation = {
            kind: self.evaluator.without_unused_frames(examples) for kind, examples in data.validation.items()
        }
        self.reconstructions: list[ValidationReconstruction] = []
        self.writer = MetricsWriter(folder.metrics_path, folder.tensorboard, resumed_at)
        self.bar = tqdm(total=config.training.steps, initial=resumed_at, unit="step", disable=jax.process_index() > 0)
        self.bar.set_postfix_str("compiling the step")
        self.throughput = Throughput(config, data.schema)
        if (unknown := unknown_peak_note(jax.devices()[0])) and jax.process_index() == 0:
            self.bar.write(f"aef: {unknown}", file=sys.stderr)
        self.embed = CompiledEmbed(config, jax.local_devices()[:1])
        options = compiler_options(mesh)
        self.gather = jax.jit(lambda params: params, out_shardings=replicated(mesh), compiler_options=options)
        self.pending: Pending | None = None
        self.progress, self.score = "", ""  # the bar shows the last step, and the last evaluation
        self.goodput = Goodput()

    def __enter__(self) -> "Reporter":
        return self

    def __exit__(self, *_) -> None:
        if jax.process_index() == 0 and self.goodput.seconds["compile"]:  # a run that had ended did no step
            self.bar.write(f"aef: {self.goodput}", file=sys.stderr)
        self.bar.close()
        self.writer.close()

    def wait_for(self, batches: Iterator[Batch]) -> Batch:
        """Take the next batch and count the time it takes to arrive.

        Args:
            batches: of the training run.

        Returns:
            The next batch.

        Raises:
            ChildProcessError: a process that reads examples was killed; the message names the last checkpoint.
        """
        with self.goodput.waiting():
            try:
                return next(batches)
            except RuntimeError as error:
                if "Worker process was terminated" not in str(error):  # Grain's words
                    raise
                code = "".join(re.findall(r"exit code -?\d+", str(error)))
                raise ChildProcessError(
                    f"a process that reads examples was killed ({code}), maybe for its memory: use fewer data.workers;"
                    f" {last_checkpoint(self.folder.path)}"
                ) from error

    def step(self, step: int, terms: Terms, batch: Batch) -> None:
        """Report the previous step and remember this one.

        Fetching the terms of a running step would wait for it.

        A step that is already done is reported at once, so that its time ends here. This is the case if a CPU computes
        in the calling thread. With several processes it is never done: if too many steps were skipped, all processes
        must stop after the same step.

        Args:
            step: number of the step, from 1.
            terms: of the objective, still on the devices.
            batch: this host's part of the step's batch.
        """
        self.flush()
        self.pending = Pending(step, terms, batch)
        ready = (term.is_ready() for term in terms.values())  # pyright: ignore[reportAttributeAccessIssue]
        if jax.process_count() == 1 and all(ready):
            self.flush()

    def flush(self) -> None:
        """Report the step that is pending, if there is one.

        Raises:
            FloatingPointError: if too many consecutive steps were skipped.
        """
        if self.pending is None:
            return
        step, terms, batch = self.pending
        self.pending = None
        values = {name: float(value) for name, value in jax.device_get(terms).items()} | count_empty(batch)
        # the lap contains all waiting for batches since the last report, and none of the next step's
        self.goodput.step_done(self.throughput.frames(batch))
        rates = self.throughput.rates(self.goodput.window)
        self.writer.write("train", step, values)
        self.writer.write("speed", step, rates | self.goodput.shares())
        speed = f", {rates['frames_per_second']:.0f} frames/s" if rates else ""
        skipped = f", {values['skipped']:.0f} skipped" if values["skipped"] else ""
        self.progress = f"loss {values['loss']:.3f}{speed}{skipped}"
        self.bar.set_postfix_str(self.progress + self.score)
        self.bar.update(step - self.bar.n)
        self._check_skipped(step, values)

    def evaluate(self, step: int, params: nnx.State) -> float | None:
        """Compute and write the validation scores.

        Args:
            step: number of steps done.
            params: of the model.

        Returns:
            The validation loss, or None without validation examples.
        """
        self.flush()
        with self.goodput.lost_to("evaluation"):
            evaluations = {kind: self.evaluator(params, examples) for kind, examples in self.validation.items()}
        scores = {kind: self.evaluator.scores(evaluation) for kind, evaluation in evaluations.items()}
        for kind, values in scores.items():
            self.writer.write(kind, step, values)
        if self.labels:
            whole = self._whole(params)
            with self.goodput.lost_to("evaluation"):
                on_first(lambda: self._evaluate_labels(step, whole))
        if not scores:
            return None
        self.reconstructions = evaluations["validation"].reconstructions
        self.score = f", validation L1 {scores['validation'][f'l1/{self.evaluator.source.name}']:.3f}"
        self.bar.set_postfix_str(self.progress + self.score)
        return scores["validation"]["reconstruction"]

    def draw(self, step: int, params: nnx.State) -> None:
        """Draw the pictures of the run. Call it after `evaluate` and after saving the checkpoint.

        The first host draws, for as long as it takes, and the others wait for it here. Without it they could do only
        one more step, and after the last step JAX would wait no longer than SHUTDOWN_S.

        Args:
            step: number of steps done.
            params: of the model.
        """
        with self.goodput.lost_to("evaluation"):
            whole = self._whole(params)
            on_first(lambda: self._try_to_draw(step, whole))
        self.reconstructions = []  # free hundreds of megabytes until the next evaluation

    def _whole(self, params: nnx.State) -> nnx.State:
        """Return all parameters on each host: one device of the first one computes fields."""
        return jax.tree.map(lambda leaf: leaf.addressable_data(0), self.gather(params))

    def _evaluate_labels(self, step: int, params: nnx.State) -> None:
        try:
            metrics = self.labels(lambda site: self._field(site, params)) if self.labels else {}
        except ValueError as error:  # as for pictures
            self.bar.write(f"aef: step {step}: the labels were not evaluated: {sentence(error)}", file=sys.stderr)
            return
        self.writer.write("labels", step, metrics)

    def _field(self, site: Site, params: nnx.State) -> Float32[np.ndarray, "H W D"]:
        period = site.support or _last_year(site, self.config)
        embedder = Embedder(self.config, self.data.schema.normalization, partial(self.embed, self.embed.place(params)))
        return embed_site(embedder, site, period)

    def _check_skipped(self, step: int, values: dict[str, float]) -> None:
        skipped = int(values["consecutive_skips"])
        if skipped >= self.config.training.max_consecutive_skips:
            name = "loss" if not math.isfinite(values["loss"]) else "gradient's norm"
            value = values["loss"] if name == "loss" else values["gradient_norm"]
            raise FloatingPointError(
                f"step {step}: the {name} is {value}, and {skipped} consecutive steps were skipped; the"
                f" batch is from the training records {sorted(set(self.examples.records(step)))};"
                " the last checkpoint is kept"
            )

    def _try_to_draw(self, step: int, params: nnx.State) -> None:
        try:
            self._draw(step, params)
        except Exception as error:  # a failed picture must not end the run, nor leave other hosts waiting for this one
            self.bar.write(f"aef: step {step}: the pictures could not be drawn: {sentence(error)}", file=sys.stderr)

    def _draw(self, step: int, params: nnx.State) -> None:
        source, site = self.evaluator.source, self.data.pictured
        if self.reconstructions:
            by_time = sorted(self.reconstructions, key=lambda r: r.example.time_ms)
            examples = [by_time[i] for i in np.linspace(0, len(by_time) - 1, NUM_PICTURED + 2).astype(int)[1:-1]]
            rows = [
                Reconstruction(format_date(r.example.time_ms), target.pixels, r.prediction, target.valid)
                for r in examples
                for target in [r.example.batch.targets[source.name]]
            ]
            write_reconstructions_png(
                self.folder.picture("reconstructions"), rows, source, self.data.schema.normalization
            )
        write_loss_curves_png(self.folder.picture("losses"), read_metrics(self.folder.metrics_path))
        period, field = site.support or _last_year(site, self.config), self._field(site, params)
        title = f"Embedding field of {picture_text(site.name)}, {format_period(period)}, step {step}"
        write_field_png(self.folder.picture("field"), field, title)


def _last_year(site: Site, config: Config) -> Period:
    end = max(int(series.time_ms[-1]) for series in site.series.values() if len(series.time_ms)) + 1
    return end - config.data.support_days * DAY_MS, end
