"""The model and its training step have the same files, classes, attributes and parameters in both frameworks.

`python -m tests.house.test_mirror` lists every difference, the explained ones too.
"""

import ast
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from tests.support.paths import REPOSITORY

TORCH, JAX = "aef_torch", "aef_jax"
TRAINING = ("losses", "objective", "optimizer", "step")
DIFFERENCES = {
    "aef_torch model/*.py *.reset_parameters()": "PyTorch initializes in a method, Flax by an argument",
    "aef_jax model/stp.py STPEncoder.loop": "XLA compiles the blocks as a scan or unrolled; PyTorch runs them in turn",
    "aef_torch model/bottleneck.py sample_noise(generator, shape, dimension, kappa)": "PyTorch's random state",
    "aef_jax model/bottleneck.py sample_noise(key, shape, dimension, kappa)": "JAX's random state",
    "aef_torch training/optimizer.py AdamW": "torch.optim.AdamW rounds a small weight decay away",
    "aef_torch training/optimizer.py AdamW.step(closure)": "as AdamW",
    "aef_torch training/optimizer.py clip_by_global_norm(*)": "optax has this function",
    "aef_torch training/optimizer.py make_optimizer(model, config)": "PyTorch's optimizer owns the parameters",
    "aef_jax training/optimizer.py make_optimizer(config)": "optax's optimizer is a function of the parameters",
    "aef_jax training/optimizer.py DECAYED": "PyTorch chooses what decays by the number of axes",
    "aef_jax training/optimizer.py decayed(params)": "PyTorch has parameter groups",
    "aef_jax training/optimizer.py bias_correction(decay, count)": "PyTorch's Adam corrects exactly",
    "aef_jax training/optimizer.py scale_by_adam(b1, b2, eps)": "optax's Adam corrects its bias in float32",
    "aef_jax training/optimizer.py skip_unless_finite(optimizer)": "an `if` in PyTorch's step",
    "aef_torch training/step.py TrainState.*": "PyTorch's model holds the parameters, and the step counts on the host",
    "aef_jax training/step.py TrainState.*": "the parameters, and optax's state, which holds the counts",
    "aef_torch training/step.py Objective": "the objective may be compiled; JAX compiles the whole step",
    "aef_torch training/step.py init_state(model, config)": "a state is made for a model of any parameters",
    "aef_torch training/step.py train_step(*)": "PyTorch's step is a function; JAX's is made and compiled for a mesh",
    "aef_jax training/step.py NoiseFn": "JAX draws the noise inside its step",
    "aef_jax training/step.py step_noise(*)": "as NoiseFn",
    "aef_jax training/step.py init_state(config, mesh)": "a state is made on the devices that hold it",
    "aef_jax training/step.py abstract_*(*)": "shapes and shardings, from which JAX compiles and restores",
    "aef_jax training/step.py make_train_step(config, mesh)": "as train_step",
    "aef_jax training/step.py make_update_fn(config, mesh)": "as train_step",
    "aef_jax training/step.py compile_in_thread(step, state, batch)": "PyTorch compiles nothing ahead of a call",
    "aef_jax training/step.py split(batch, number)": "the loop over parts of a batch is compiled",
}
"""Lines of `outline` that one framework has and the other has not, as patterns, each with its reason."""


def outline(file: Path) -> set[str]:
    """List the public names of a module: constants, functions, classes, and their methods, fields and attributes.

    Functions have the names of their parameters. `forward` is called `__call__`; `self` and `rngs` are left out.
    """
    return {line for node in ast.parse(file.read_text()).body for line in _lines(node, "")}


def _lines(node: ast.stmt, owner: str) -> Iterator[str]:
    match node:
        case ast.FunctionDef(name=name):
            if name == "__init__":
                yield from (f"{owner}{attribute}" for attribute in _attributes(node))
            name = "__call__" if name == "forward" else name
            if not name.startswith("_") or name in ("__init__", "__call__"):
                yield f"{owner}{name}({', '.join(_parameters(node))})"
        case ast.ClassDef(name=name) if not name.startswith("_"):
            yield name
            for child in node.body:
                yield from _lines(child, f"{name}.")
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            if not name.startswith("_"):
                yield f"{owner}{name}"


def _attributes(init: ast.FunctionDef) -> Iterator[str]:
    for node in ast.walk(init):
        match node:
            case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                yield name


def _parameters(function: ast.FunctionDef) -> list[str]:
    arguments = function.args
    names = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    return [name for name in names if name not in ("self", "rngs")]


def mirrored_files(package: Path) -> dict[str, Path]:
    """Map the mirrored files of one framework's package by their path in it."""
    files = [*(package / "model").glob("*.py"), *(package / "training" / f"{name}.py" for name in TRAINING)]
    return {file.relative_to(package).as_posix(): file for file in files if file.exists()}


def differences(torch: Path, jax: Path) -> list[str]:
    """List what only one of two packages has, as `package file name`."""
    lines = []
    for package, other in ((torch, jax), (jax, torch)):
        files, mirrors = mirrored_files(package), mirrored_files(other)
        for path, file in files.items():
            missing = outline(file) - outline(mirrors[path]) if path in mirrors else {"is missing in the other"}
            lines += [f"{package.name} {path} {line}" for line in sorted(missing)]
    return lines


def _explained(difference: str) -> bool:
    return any(fnmatchcase(difference, pattern) for pattern in DIFFERENCES)


def test_every_difference_has_a_reason():
    assert [d for d in differences(REPOSITORY / TORCH, REPOSITORY / JAX) if not _explained(d)] == []


def test_every_reason_is_for_a_difference():
    actual = differences(REPOSITORY / TORCH, REPOSITORY / JAX)
    assert [p for p in DIFFERENCES if not any(fnmatchcase(difference, p) for difference in actual)] == []


def test_the_training_files_exist_in_both():
    for package in (TORCH, JAX):
        assert {f"training/{name}.py" for name in TRAINING} <= mirrored_files(REPOSITORY / package).keys()


@pytest.mark.parametrize(("package", "other"), [(TORCH, JAX), (JAX, TORCH)])
def test_every_docstring_names_the_mirror(package, other):
    files = mirrored_files(REPOSITORY / package)
    docstrings = {path: ast.get_docstring(ast.parse(file.read_text())) or "" for path, file in files.items()}
    mirrors = {path: f"{other}/{path}".removesuffix("/__init__.py") for path in files}
    assert [path for path in files if mirrors[path] not in docstrings[path]] == []


TORCH_LAYER = """
class Layer(nn.Module):
    def __init__(self, width):
        self.heads, self.query = 2, Linear(width)
    def forward(self, x, mask): ...
"""
JAX_LAYER = TORCH_LAYER.replace("(self, width)", "(self, width, *, rngs)").replace("forward", "__call__")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("rngs", "rngs", []),
        ("self.query", "self.queries", ["aef_torch model/a.py Layer.query", "aef_jax model/a.py Layer.queries"]),
        ("class Layer", "class Block", ["aef_torch model/a.py Layer", "aef_jax model/a.py Block"]),
        ("x, mask", "x", ["aef_torch model/a.py Layer.__call__(x, mask)", "aef_jax model/a.py Layer.__call__(x)"]),
    ],
)
def test_a_broken_mirror_is_listed(tmp_path, old, new, expected):
    for package, source in ((TORCH, TORCH_LAYER), (JAX, JAX_LAYER.replace(old, new))):
        (tmp_path / package / "model").mkdir(parents=True)
        (tmp_path / package / "model" / "a.py").write_text(source)
    listed = differences(tmp_path / TORCH, tmp_path / JAX)
    assert set(expected) <= set(listed)
    assert bool(listed) == bool(expected)


def test_a_missing_file_is_listed(tmp_path):
    for package in (TORCH, JAX):
        (tmp_path / package / "model").mkdir(parents=True)
    (tmp_path / JAX / "model" / "a.py").write_text("")
    assert differences(tmp_path / TORCH, tmp_path / JAX) == ["aef_jax model/a.py is missing in the other"]


if __name__ == "__main__":
    print("\n".join(differences(REPOSITORY / TORCH, REPOSITORY / JAX)))
