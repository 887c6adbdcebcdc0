"""The smallest model and its weights, for tests of `aef-parity convert`."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from configs.presets import DEBUG
from configs.serialization.config_json import to_json
from configs.serialization.weights_metadata import CONFIG, NORMALIZATION, STEP
from configs.sources import LANDSAT, NLCD, SENTINEL2, TEXT
from parity.aef.model import abstract_torch
from parity.capture.tensors import torch_specs
from parity.cli import main
from parity.files.weights_writer import WeightsWriter
from parity.mapping.spec import Spec

SMALLEST = replace(
    DEBUG,
    sources=(SENTINEL2, LANDSAT, NLCD, TEXT),
    model=replace(
        DEBUG.model,
        d_precision=4,
        d_exchange=6,
        d_time=8,
        d_space=8,
        mlp_ratio=4,
        embed_dim=64,
        decoder_width=512,
        block_loop="scan",
    ),
)
NORMALIZATION_TEXT = '{"sentinel2": {"mean": [0.1], "deviation": [2]}}'


def random_tensors() -> dict[str, np.ndarray]:
    """Return random weights of the smallest model, in PyTorch's names and layout."""
    rng = np.random.default_rng(0)
    specs = torch_specs(abstract_torch(SMALLEST))
    return {name: rng.normal(size=spec.shape).astype(spec.dtype) for name, spec in specs.items()}


def write(path: Path, tensors: dict[str, np.ndarray], **metadata: str) -> Path:
    contiguous = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    texts = {CONFIG: to_json(SMALLEST), NORMALIZATION: NORMALIZATION_TEXT, STEP: "20"} | metadata
    save_file(contiguous, path, metadata={key: text for key, text in texts.items() if text})
    return path


def mistake(capsys, *arguments) -> str:
    """Return the message of a refused conversion, and assert that it leaves no trace among the files."""
    capsys.readouterr()
    folder = Path(arguments[1]).parent
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert main(["convert", *map(str, arguments)]) == 2
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("aef-parity: ")
    return output.err.removeprefix("aef-parity: ").rstrip("\n")


def assert_same_tensors(tensors, expected):
    assert tensors.keys() == expected.keys()
    for name, array in expected.items():
        assert tensors[name].dtype == array.dtype, name
        assert tensors[name].tobytes() == array.tobytes(), name


def write_weights(path: Path, tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> None:
    """Write a weights file with the right checksums."""
    specs = {name: Spec.of(array) for name, array in tensors.items()}
    with WeightsWriter(path, specs, metadata) as writer:
        for name, array in tensors.items():
            writer.write(name, array)
