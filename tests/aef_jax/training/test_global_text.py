"""CLIP compares a text with all others of the global batch, on any number of devices."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from tests.support.paths import PROGRAMS

PROGRAM = PROGRAMS / "run_text_on_meshes.py"


@pytest.mark.slow
def test_clip_and_its_gradients_are_the_same_on_two_devices():
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": "2", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, PROGRAM], env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    alone, shared = (json.loads(line) for line in done.stdout.splitlines())
    assert alone["value"] > 0.1
    np.testing.assert_allclose(shared["value"], alone["value"], rtol=1e-6)
    np.testing.assert_allclose(shared["gradients"], alone["gradients"], atol=1e-5)
