"""Write a run's report as one HTML file."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from aef_jax.console.units import plural
from aef_jax.data.loading.training_data import TrainingData, open_data
from aef_jax.files.atomic import replace_file, require_file_target
from aef_jax.report.validation_pictures import draw_embeddings, draw_sources, reconstruct_examples
from aef_jax.run.checkpoint import restore_params
from aef_jax.run.folder import RunFolder
from aef_jax.run.steps import Which, find_step
from aef_jax.visualize.loss_curves import draw_loss_curves, read_metrics
from aef_jax.visualize.page import html_image, html_page, html_table
from configs.config import Config
from configs.serialization.printable import html_text

NUM_EXAMPLES = 8
"""The most validation examples that are embedded, spread over all."""
NUM_ROWS = 3
"""The most examples of a source whose reconstructions are drawn."""
SCORES = {
    "reconstruction": "validation loss: mean of all sources' errors under their weights",
    "collapse": "mean |mu . mu'| of pixels of different examples: 1 if all embeddings are the same",
    "probe": "balanced accuracy of a linear probe of the labels, fitted to one half of the examples",
    "l1": "mean absolute error of the reconstruction, in standard deviations",
    "l1_mean": "the same of the mean of training",
    "l1_persistence": "the same of the nearest clear frame",
}
"""What the metrics of an evaluation mean, by the part of their names before a slash."""


def write_run_report(run: RunFolder, output: Path, data: Path | None = None, which: Which = "latest") -> None:
    """Write a page with a run's curves, scores, embedding fields and reconstructions of every source.

    Args:
        run: the run.
        output: the HTML file, which may exist. It needs no other file and no network.
        data: folder of the data set, if it is no longer where the run read it.
        which: the checkpoint.

    Raises:
        ValueError: the run, its metrics or its data are missing or invalid.
    """
    require_file_target(output, overwrite=True)
    config, records = run.read_config(), read_metrics(run.metrics_path)
    if data:
        config = replace(config, data=replace(config.data, path=str(data)))
    step = find_step(run.checkpoints, which)
    opened = open_data(config, run.read_normalization())
    title = f"Run {run.path.absolute().name}, step {step}"
    curves = draw_loss_curves(records, str(run.metrics_path))
    parts = [
        f"<h1>{html_text(title)}</h1>",
        _summary(config, opened),
        f"<h2>Training</h2>{html_image(curves, 'losses by step')}",
        _scores(records),
        *_pictures(run, config, opened, step),
    ]
    with replace_file(output) as temporary:
        temporary.write_text(html_page(title, parts), encoding="utf-8")


def _summary(config: Config, data: TrainingData) -> str:
    model, training = config.model, config.training
    rows = [
        ("data", f"{config.data.path or 'the sample'}: {plural(len(data.training), 'training record')}"),
        ("sources", ", ".join(source.name for source in data.schema.sources)),
        ("inputs", ", ".join(source.name for source in data.schema.input_sources)),
        ("model", f"{plural(model.num_blocks, 'block')}, embeddings of {model.embed_dim} numbers"),
        ("training", f"{plural(training.steps, 'step')}, {plural(training.batch, 'sequence')} each"),
    ]
    return html_table(("", ""), rows)


def _scores(records: Sequence[dict]) -> str:
    """Make the table of the last evaluation of each kind."""
    last = {record["kind"]: record for record in records if record["kind"].startswith("validation")}
    if not last:
        return "<h2>Validation</h2><p>The run has not been evaluated.</p>"
    rank = {name: number for number, name in enumerate(SCORES)}
    names = {name for record in last.values() for name in record if name not in ("step", "kind")}
    ordered = sorted(names, key=lambda name: (rank.get(name, rank.get(name.partition("/")[0], 0) + 0.5), name))
    rows = []
    for name in ordered:
        values = [record.get(name) for record in last.values()]
        kind, _, source = name.partition("/")
        meaning = f"error of {source}" if kind == "reconstruction" and source else SCORES.get(kind, "")
        rows.append((name, *("" if value is None else f"{value:.3f}" for value in values), meaning))
    head = ("metric", *(f"{kind}, step {record['step']}" for kind, record in last.items()), "")
    return f"<h2>Validation</h2>{html_table(head, rows)}"


def _pictures(run: RunFolder, config: Config, data: TrainingData, step: int) -> list[str]:
    examples = data.validation.get("validation", ())
    if not len(examples):
        return ["<h2>Embeddings and reconstructions</h2><p>The data have no validation example to draw.</p>"]
    params = restore_params(run.checkpoints, config, which=step)
    indices = np.unique(np.linspace(0, len(examples) - 1, min(NUM_EXAMPLES, len(examples))).astype(int)).tolist()
    results = reconstruct_examples(config, params, (examples[index] for index in indices))
    parts = [
        "<h2>Embedding fields</h2><p>Validation examples in the colors of their common principal components: equal"
        f" colors are similar embeddings.</p>{html_image(draw_embeddings(results), 'embedding fields')}",
        "<h2>Reconstructions</h2><p>Each frame is decoded from the embedding of a summary period that holds it.</p>",
    ]
    for name, figure in draw_sources(results, data.schema, NUM_ROWS).items():
        image = html_image(figure, f"reconstructions of {name}") if figure else "<p>No example shows it.</p>"
        parts.append(f'<h3>{html_text(name)}</h3><div style="max-width: 660px">{image}</div>')
    return parts
