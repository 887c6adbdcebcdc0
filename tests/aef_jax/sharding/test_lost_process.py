"""What JAX's coordination service writes becomes one sentence, and all other lines pass."""

import subprocess
import sys

import pytest

BEFORE = "W1127 08:34:24.1 4944 other.cc:7] a warning of another library\n"
SILENT = """\
E1127 08:34:25.445427    4944 coordination_service.cc:1549] [33] Use error polling to propagate the following error: \
UNAVAILABLE: The following tasks are unhealthy (stopped sending heartbeats):
1
3
The tasks have crashed. Check the task logs for an earlier error. [type.googleapis.com/tensorflow='']
"""
ABORTED = """\
F1127 08:34:25.446372    4914 client.h:80] Terminating process because the JAX distributed service has errors.
*** Check failure stack trace: ***
    @     0x7f65412a8634  absl::lts_20260107::log_internal::LogMessage::SendToLog()
"""


@pytest.fixture
def said(tmp_path):
    for step in ("4", "12", "16.orbax-checkpoint-tmp"):
        (tmp_path / "checkpoints" / step).mkdir(parents=True)

    def said(text: str) -> str:
        command = [sys.executable, "-m", "aef_jax.sharding.lost_process", tmp_path, "looked for a:1 for 5 s"]
        return subprocess.run(command, input=text, stderr=subprocess.PIPE, text=True, check=True).stderr

    return said


@pytest.mark.parametrize(
    ("of_service", "clause"),
    [
        (SILENT + ABORTED, "processes 1, 3 ended or stopped answering"),
        (SILENT.replace("3\n", "") + ABORTED, "process 1 ended or stopped answering"),
        (ABORTED + "RPC: /xla.coordination.CoordinationService/Heartbeat\n", "process 0 ended or stopped answering"),
        (ABORTED + "RPC: /xla.coordination.CoordinationService/RegisterTask\n", "looked for a:1 for 5 s"),
    ],
)
def test_a_lost_process_is_told_in_a_sentence(said, of_service, clause):
    last = f"{clause}; the last checkpoint is that of step 12: start all processes again\n"
    assert said(BEFORE + of_service).startswith(f"{BEFORE}\naef: ")
    assert said(BEFORE + of_service).endswith(last)
    assert "\n" not in said(BEFORE + of_service).removeprefix(f"{BEFORE}\n").strip()


@pytest.mark.parametrize("text", [BEFORE, SILENT, BEFORE + SILENT])
def test_lines_that_end_nothing_pass_as_they_are(said, text):
    assert said(text) == text
