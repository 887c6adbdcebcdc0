"""Section `devices`: a few training steps on eight devices, compared with one of them."""

from unittest.mock import patch

import jax

from aef_jax.sharding.mesh import make_mesh
from configs.mesh import MeshConfig
from parity.aef.check.check_input import CheckInput
from parity.aef.check.settings import Settings
from parity.aef.check.training_setup import initial_snapshot, make_batches, training_setup
from parity.aef.training.sharded import OneDevice
from parity.capture.quick_compile import quick_compiles
from parity.comparison.tolerances import SHARDED_RATIO
from parity.report.report import Check, Section

DEVICES = 8
STEPS = 3
DOUBLE = 1e-12


def use_devices() -> None:
    """Split the CPU into eight devices, before JAX is used for anything. Accelerators are not affected."""
    jax.config.update("jax_num_cpu_devices", DEVICES)


def devices(check_input: CheckInput, settings: Settings) -> Section:
    """Compare parameters and Adam's moments after the last step; sequences, their frames and parameters are sharded.

    Args:
        check_input: What is compared.
        settings: How.

    Returns:
        The section.
    """
    number = jax.device_count()
    section = Section("devices", f"Training on {number} devices, from one of them")
    if number % 4:
        section.notes.append(f"Left out: there are {number} devices, and it needs a multiple of four.")
        return section
    config = training_setup(check_input, "float32", batch=number)
    for given in settings.progress([make_batches(config, STEPS)], "many devices"):
        # by default all of so small a model would be replicated
        with patch("aef_jax.sharding.mesh.SMALLEST_SPLIT", 64), quick_compiles():
            mesh, alone = make_mesh(MeshConfig(fsdp=2, seq=2)), OneDevice(config, initial_snapshot(check_input), given)
            double, ratio = alone.double(mesh), alone.ratio(mesh)
        order = "only the order of the sums over the batch differs"
        section.checks += [
            *(Check(f"float64, {kind}, relative L2", far, DOUBLE, order) for kind, far in double.last.items()),
            Check("float32, error as a multiple of one device's", ratio, SHARDED_RATIO, order),
        ]
    return section
