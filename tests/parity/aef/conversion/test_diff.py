"""`aef-parity diff` reports for each tensor whether it is equal, and else by how much it differs."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from parity.cli import main

A = {
    "same": np.array([1, np.nan], np.float32),
    "changed": np.array([3, 4], np.float32),
    "only a": np.zeros(2, np.float32),
    "longer": np.zeros(2, np.float32),
    "wider": np.array([3, 4], np.float32),
}
B = {
    "same": A["same"],
    "changed": np.array([3, 4.5], np.float32),
    "only b": np.zeros(3, np.float32),
    "longer": np.zeros(3, np.float32),
    "wider": np.array([3, 4], np.float64),
}


@pytest.fixture
def files(tmp_path):
    for name, tensors in (("a", A), ("b", B)):
        save_file(tensors, tmp_path / f"{name}.safetensors")
    return [str(tmp_path / f"{name}.safetensors") for name in "ab"]


def test_every_tensor_has_its_line(files, capsys):
    assert main(["diff", *files]) == 1
    assert sorted(capsys.readouterr().out.splitlines()) == [
        "1 of 6 tensors are equal (parameters)",
        "different: changed, relative L2 1.00e-01, largest |difference| 5.00e-01",
        "dtype: wider, float32 and float64, relative L2 0.00e+00, largest |difference| 0.00e+00",
        "equal: same",
        "missing in A: only b, float32 (3,)",
        "missing in B: only a, float32 (2,)",
        "shape: longer, float32 (2,) and float32 (3,)",
    ]


def test_the_same_is_equal(files, capsys):
    assert main(["diff", files[0], files[0]]) == 0
    assert capsys.readouterr().out.endswith("5 of 5 tensors are equal (parameters)\n")


def test_what_is_no_checkpoint_is_a_mistake(files, tmp_path, capsys):
    assert main(["diff", files[0], str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err == f"aef-parity: {tmp_path / 'none'} does not exist\n"
    assert main(["diff", files[0], str(tmp_path)]) == 2
    assert "is not the folder of a run" in capsys.readouterr().err
