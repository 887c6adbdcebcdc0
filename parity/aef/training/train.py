"""Continue a JAX run in PyTorch, on the data that it would have seen and with the noise that it would have drawn.

This is for comparisons, on the CPU: PyTorch's side is the reference, not a trainer.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from aef_jax.data.loading.pipeline import HostExamples, training_batches
from aef_jax.data.loading.training_data import open_data
from aef_jax.data.store.normalization import Normalization
from aef_jax.files.atomic import replace_file, require_file_target
from aef_jax.run.format import NEXT_EXAMPLE
from aef_jax.run.optimizer_tree import COUNT, LAST_FINITE, NOTFINITE_COUNT, SCHEDULE_COUNT, TOTAL_NOTFINITE
from aef_torch.training.snapshot import Snapshot, Tensors, snapshot
from configs.batch import Batch
from configs.config import Config
from configs.serialization.strict_json import loads
from parity.aef.conversion.metadata import CheckpointMetadata, Training
from parity.aef.conversion.optimizer_state import MOMENTS
from parity.aef.conversion.torch_checkpoint import TorchCheckpoint, require_torch_target, write_torch
from parity.aef.training.steps import continue_in_torch
from parity.capture.tensors import to_numpy, to_tensor
from parity.files.weights_file import SUFFIX
from parity.mapping.spec import Spec


def train(source: Path, target: Path, to_step: int, overwrite: bool = False) -> str:
    """Continue a converted run until `to_step` steps are done, and write it as another PyTorch folder.

    Every step's terms are written to `{target}.jsonl`. All errors are raised before the first step.

    Args:
        source: A PyTorch folder with moments.
        target: The folder to write.
        to_step: The number of steps done at the end, including JAX's.
        overwrite: Whether existing output is replaced.

    Returns:
        A sentence on what was written.

    Raises:
        ValueError: If `source` has no moments, `target` is a file's name, output exists and may not be replaced, the
            data
            are not those of the run, or `to_step` is out of range.
    """
    terms_path = target.with_name(f"{target.name}.jsonl")
    if target.suffix == SUFFIX:
        raise ValueError(f"{target} would hold only parameters: give the name of a folder, which also holds moments")
    require_torch_target(target, overwrite)
    require_file_target(terms_path, overwrite)
    checkpoint = TorchCheckpoint(source)
    if not checkpoint.moments:
        raise ValueError(f"{source} holds only parameters: convert a run to a folder, which also holds its moments")
    checkpoint.require_model()
    config, saved = checkpoint.config, checkpoint.saved
    steps = continue_in_torch(config, read_snapshot(checkpoint), _batches(config, saved, source), to_step)
    state, lines = None, []
    for state, terms in (bar := tqdm(steps, unit="step", total=to_step - saved.step, desc="PyTorch")):
        lines.append(json.dumps({"step": state.step, **terms}))
        bar.set_postfix_str(f"loss {terms['loss']:.4f}", refresh=False)
    assert state is not None, "there is at least one step to go"
    write_snapshot(target, saved, snapshot(state), config, overwrite)
    with replace_file(terms_path) as temporary:
        temporary.write_text("\n".join(lines) + "\n")
    return f"wrote {target}, of step {state.step}; the terms of {len(lines)} steps are in {terms_path}"


def read_snapshot(checkpoint: TorchCheckpoint) -> Snapshot:
    """Read the training state of a folder with moments.

    Args:
        checkpoint: The folder.

    Returns:
        The state.

    Raises:
        ValueError: If a checksum is wrong.
    """

    def read(prefix: str) -> Tensors:
        return {name: to_tensor(checkpoint.tensor(prefix + name)) for name in checkpoint.params}

    counters = _training(checkpoint.saved).counters
    skipped, in_a_row = (int(counters[name]) for name in (TOTAL_NOTFINITE, NOTFINITE_COUNT))
    exp_avg, exp_avg_sq = (read(f"{moment}.") for moment in MOMENTS)
    return Snapshot(read(""), exp_avg, exp_avg_sq, checkpoint.saved.step, skipped, in_a_row)


def write_snapshot(
    target: Path, saved: CheckpointMetadata, state: Snapshot, config: Config, overwrite: bool = False
) -> None:
    """Write a training state as a folder that both frameworks can continue from.

    Args:
        target: The folder.
        saved: The metadata of the checkpoint that the run started from.
        state: The training state.
        config: The config.
        overwrite: Whether an existing folder is replaced.
    """
    applied = state.step - state.skipped
    counters = {
        NOTFINITE_COUNT: state.consecutive_skips,
        LAST_FINITE: state.consecutive_skips == 0,
        TOTAL_NOTFINITE: state.skipped,
        COUNT: applied,
        SCHEDULE_COUNT: applied,
    }
    position = {NEXT_EXAMPLE: state.step * config.training.batch}
    training = Training(counters, position, _training(saved).data, scores={})
    arrays = {name: to_numpy(tensor) for name, tensor in state.params.items()}
    moments = {f"{kind}.{name}": to_numpy(tensor) for kind in MOMENTS for name, tensor in getattr(state, kind).items()}
    params, others = ({name: Spec.of(array) for name, array in some.items()} for some in (arrays, moments))
    saved = replace(saved, step=state.step, training=training)
    write_torch(target, saved, params, others, (arrays | moments).__getitem__, overwrite=overwrite)


def _training(saved: CheckpointMetadata) -> Training:
    assert saved.training is not None, "TorchCheckpoint sees to it where there are moments"
    return saved.training


def _batches(config: Config, saved: CheckpointMetadata, source: Path) -> Iterator[Batch]:
    """Return the batches that the run would have seen next."""
    try:
        normalization = Normalization.from_table(loads("normalization", saved.normalization or "null"))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{source}: its metadata does not say how its data was scaled ({error})") from None
    data = open_data(config, normalization)
    if data.data_fingerprint != _training(saved).data:
        raise ValueError(f"{source} was trained on {_training(saved).data}, and the data are {data.data_fingerprint}")
    return training_batches(HostExamples(data.training, data.schema, config, weights=data.weights), saved.step)
