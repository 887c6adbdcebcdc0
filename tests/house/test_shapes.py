"""Shape annotations are valid everywhere, and checked while the tests run.

`python -m tests.house.test_shapes aef_jax/model` lists the invalid ones in a folder.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError

import aef_jax.model.layers
import aef_torch.model.layers
from configs.encodings.timecode import timecode
from tests.support.paths import REPOSITORY

PACKAGES = ("configs", "aef_torch", "aef_jax", "parity", "tests")
DTYPES = ("Float", "Int", "UInt", "Bool", "Shaped", "Num")


def invalid_shapes(folder: Path) -> list[str]:
    """List the axes of shape annotations below a folder that cannot be evaluated."""
    return [line for file in sorted(folder.rglob("*.py")) for line in _invalid_in(file)]


def _invalid_in(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        match node:
            case ast.Subscript(value=ast.Name(id=dtype), slice=ast.Tuple(elts=[_, ast.Constant(value=str(shape))])) if (
                dtype.rstrip("0123456789") in DTYPES
            ):
                yield from (f"{file}:{node.lineno}: {axis!r}" for axis in shape.split() if not _is_valid(axis))


def _is_valid(axis: str) -> bool:
    name = axis.lstrip("*#")
    if name in ("", "..."):
        return axis == "..."
    try:
        ast.parse(name, mode="eval")
    except SyntaxError:
        return False
    return name == axis or name.isidentifier()


def test_every_shape_can_be_evaluated():
    assert [line for package in PACKAGES for line in invalid_shapes(REPOSITORY / package)] == []


def test_an_invalid_axis_is_listed(tmp_path):
    shapes = ("B 2*H H/2 *B *#B _ ... 3", "B 2K", "*B *2*H")
    source = "\n".join(f'a{index}: Float32[Array, "{shape}"]' for index, shape in enumerate(shapes))
    (tmp_path / "bad.py").write_text(source)
    assert [line.partition(":")[2] for line in invalid_shapes(tmp_path)] == ["2: '2K'", "3: '*2*H'"]


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (aef_jax.model.layers._product, (jnp.zeros((2, 3)), jnp.zeros((4, 5)))),
        (aef_torch.model.layers._channels_first, (torch.zeros(3, 4),)),
        (timecode, (np.zeros(3, np.float32),)),
    ],
)
def test_wrong_shapes_and_dtypes_are_refused(function, arguments):
    with pytest.raises(TypeCheckError):
        function(*arguments)


if __name__ == "__main__":
    print("\n".join(line for folder in sys.argv[1:] for line in invalid_shapes(Path(folder))))
