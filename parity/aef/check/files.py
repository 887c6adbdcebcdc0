"""Section `files`: weights saved for JAX, converted back for PyTorch, and read again."""

import tempfile
from pathlib import Path

from configs.serialization.config_json import to_json
from parity.aef.check.check_input import CheckInput
from parity.aef.check.settings import Settings
from parity.aef.conversion.checkpoints import open_checkpoint
from parity.aef.conversion.convert import convert
from parity.aef.conversion.metadata import CheckpointMetadata
from parity.aef.conversion.torch_checkpoint import write_torch
from parity.mapping.spec import Spec
from parity.report.report import Check, Section


def files(check_input: CheckInput, settings: Settings) -> Section:
    """Convert from PyTorch to a JAX run's folder and back, in a temporary folder.

    Args:
        check_input: What is compared.
        settings: How.

    Returns:
        The section.
    """
    section = Section("files", "Weights on the way from PyTorch to JAX and back")
    params = {name: Spec.of(array) for name, array in check_input.torch.items()}
    with tempfile.TemporaryDirectory(prefix="aef-parity-") as folder:
        given, run, back = (Path(folder) / name for name in ("given.safetensors", "run", "back.safetensors"))
        write_torch(
            given,
            CheckpointMetadata(to_json(check_input.config), None, 0, None),
            params,
            {},
            check_input.torch.__getitem__,
        )
        for source, target in settings.progress([(given, run), (run, back)], "files"):
            convert(source, target)
            converted = open_checkpoint(target)
            different = sum(
                converted.tensor(name).tobytes() != array.tobytes() for name, array in check_input.torch.items()
            )
            name = f"tensors that differ in {target.name}, of {len(params)}"
            section.checks.append(Check(name, different, 0, "to the last bit: nothing is computed"))
    return section
