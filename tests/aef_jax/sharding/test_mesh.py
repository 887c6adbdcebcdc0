"""Arrays are sharded over a mesh by the rules, and only the necessary data moves."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import PartitionSpec

from aef_jax.aot.shardings import parse_mesh, shardings_table
from aef_jax.cli import main as cli
from aef_jax.model.layers import Linear
from aef_jax.sharding.compiler_options import compiler_options
from aef_jax.sharding.mesh import AXES, FSDP, check_batch, make_mesh, mesh_shape, state_shardings, training_mesh
from configs.mesh import MeshConfig
from configs.presets import PAPER
from tests.support.paths import PROGRAMS, REPOSITORY
from tests.support.refusals import error_message

HERE = Path(__file__).parent


def _mesh(data: int, fsdp: int, seq: int = 1) -> jax.sharding.AbstractMesh:
    return jax.sharding.AbstractMesh((data, fsdp, seq), AXES)


@pytest.mark.parametrize(
    ("shape", "spec"),
    [
        ((512, 1024), (None, FSDP)),
        ((1024, 512), (FSDP, None)),
        ((15, 512, 512), (None, FSDP, None)),
        ((4, 4, 128, 320), (None, None, None, FSDP)),
        ((1001, 128), (None, FSDP)),
        ((1001, 127), ()),
        ((64,), ()),
        ((), ()),
    ],
)
def test_large_tensors_are_split_on_their_largest_divisible_axis(shape, spec):
    leaf = jax.ShapeDtypeStruct(shape, np.float32)
    assert state_shardings(leaf, _mesh(2, 4)).spec == PartitionSpec(*spec)


def test_without_fsdp_nothing_is_split():
    leaf = jax.ShapeDtypeStruct((1024, 1024), np.float32)
    assert state_shardings(leaf, _mesh(8, 1)).spec == PartitionSpec()


def test_misfitting_mesh_and_indivisible_batch_are_refused():
    many = jax.device_count() + 1
    assert f"data={many} times fsdp=1 times seq=1 does not fill" in error_message(make_mesh, MeshConfig(data=many))
    assert "data=the rest times fsdp=3 times seq=1 does not fill the 8 devices" in error_message(
        mesh_shape, MeshConfig(fsdp=3), 8
    )
    assert mesh_shape(MeshConfig(fsdp=2, seq=2), 8) == (2, 2, 2)
    assert "batch is 6, expected a multiple of data times fsdp (8)" in error_message(check_batch, 6, _mesh(4, 2))
    check_batch(16, _mesh(4, 2, 2), 2)
    assert "batch is 8, expected a multiple of data times fsdp (8) times grad_accum_steps (2)" in error_message(
        check_batch, 8, _mesh(4, 2), 2
    )


@dataclass(frozen=True)
class Chip:
    """The attributes of a device that a mesh reads."""

    id: int
    process_index: int = 0
    platform: str = "none"


def chips(number: int) -> list[Chip]:
    return [Chip(each) for each in range(number)]


@pytest.mark.parametrize(
    ("mesh", "devices", "shape"),
    [
        (MeshConfig(), 512, (256, 1, 2)),  # the paper's machine
        (MeshConfig(), 256, (256, 1, 1)),
        (MeshConfig(), 2048, (256, 1, 8)),
        (MeshConfig(fsdp=4), 512, (64, 4, 2)),
        (MeshConfig(seq=4), 512, (128, 1, 4)),
    ],
)
def test_devices_beyond_sequences_each_take_a_share_of_one(mesh, devices, shape):
    assert training_mesh(replace(PAPER, mesh=mesh), chips(devices)).devices.shape == shape


@pytest.mark.parametrize(
    ("mesh", "devices", "sentence"),
    [
        (MeshConfig(data=512), 512, "batch is 256, expected a multiple of data times fsdp (512)"),
        (MeshConfig(), 8192, "batch is 256, expected a multiple of data times fsdp (8192)"),
        (MeshConfig(), 3, "batch is 256, expected a multiple of data times fsdp (3)"),
        (MeshConfig(fsdp=3), 512, "does not fill the 512 devices"),
    ],
)
def test_misfitting_chosen_mesh_is_refused(mesh, devices, sentence):
    assert sentence in error_message(training_mesh, replace(PAPER, mesh=mesh), chips(devices))


@pytest.mark.parametrize("gradients", [False, True])
@pytest.mark.parametrize("platform", ["cpu", "gpu"])
def test_xla_knows_the_options_that_it_is_given(platform, gradients):
    """A minor release may remove an option. All backends but TPUs' parse all options."""
    options = compiler_options(make_mesh(MeshConfig(), [Chip(0, platform=platform)]), gradients)
    assert options
    jax.jit(lambda: 0, compiler_options=options)()


@pytest.mark.slow
@pytest.mark.parametrize("mesh", ["data=256,seq=2", "data=4,fsdp=2,seq=2", "data=16,fsdp=16"])
def test_the_shardings_of_the_paper_are_those_of_the_golden_file(mesh):
    """Rewrite a file with: aef shardings paper --mesh MESH > tests/aef_jax/sharding/golden/MESH.txt"""
    result = shardings_table(replace(PAPER, mesh=parse_mesh(mesh)))
    assert result + "\n" == (HERE / "golden" / f"{mesh}.txt").read_text()


@pytest.mark.slow
def test_the_table_adds_up_and_what_is_split_takes_its_share(capsys):
    assert cli.main(["shardings", "tiny", "--mesh", "data=1,fsdp=4"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "mesh: data=1 fsdp=4 seq=1: 4 devices"
    row = next(line for line in lines if line.startswith("decoders.cdl.hidden.kernel"))
    assert row.split()[1:] == ["128", "x", "128", "float32", "fsdp,", "-", f"{128 * 128 * 4 // 4:,}"]


@pytest.mark.parametrize(
    ("mesh", "sentence"),
    [
        ("pipe=2", "'pipe=2' is not an axis with its size"),
        ("data=two", "'data=two' is not an axis with its size"),
        ("fsdp=2", "data has no size"),
        ("data=0", "data is 0"),
        ("data=5", "expected a multiple of data times fsdp (5)"),
        ("data=1,seq=5", "mesh: seq is 5; data: tile_side is"),
    ],
)
def test_an_invalid_mesh_is_refused(mistake, mesh, sentence):
    assert sentence in mistake("shardings", "tiny", "--mesh", mesh)


def on_eight_devices(program: str) -> list:
    """Run a program in a process of its own and return what it prints, line by line."""
    path = os.pathsep.join(filter(None, (str(REPOSITORY), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": "8", "JAX_PLATFORMS": "cpu", "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, PROGRAMS / program], env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.slow
def test_frames_are_joined_merged_and_split_where_they_are():
    for result in on_eight_devices("run_frames_on_meshes.py"):
        assert result == {"moved": [], "joined": True, "merged": True, "back": True}


@pytest.mark.slow
def test_blocks_only_swap_frames_for_rows_and_send_gradients():
    (counts,) = on_eight_devices("run_block_collectives.py")
    # two ways; forward, recomputed and backward; for teacher and student; in each of three blocks
    assert counts.pop("all-to-all") == 2 * 3 * 2 * 3
    assert set(counts) == {"all-reduce"}


@pytest.mark.parametrize(("devices", "axes"), [(1, 2), (2, 4)])
def test_unsharded_dense_layers_multiply_plain_matrices(devices, axes):
    layer = Linear(3, 5, rngs=nnx.Rngs(0))
    x = jnp.ones((2, 4, 6, 3))
    with jax.sharding.use_abstract_mesh(_mesh(devices, 1)):
        gradient = jax.make_jaxpr(nnx.grad(lambda layer, x: layer(x).sum()))(layer, x)
    products = [e for e in gradient.jaxpr.eqns if e.primitive.name == "dot_general"]
    assert products
    assert {e.invars[0].aval.ndim for e in products} == {axes}
