"""What the machine has run out of is one sentence, and what cannot be written is refused before the work."""

import errno
import os
import resource
import subprocess
import sys

import pytest

from aef_jax.cli import main as cli
from aef_jax.files.atomic import require_writable
from aef_jax.files.machine_limits import describe_limit, exit_code
from parity import cli as parity_cli
from tests.support.hostile_names import assert_harmless
from tests.support.refusals import error_message

LIMITS = {
    "disk": (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "runs/a"), "the disk is full: runs/a"),
    "quota": (OSError(errno.EDQUOT, os.strerror(errno.EDQUOT), "runs/a"), "the disk quota is used up: runs/a"),
    "size": (OSError(errno.EFBIG, os.strerror(errno.EFBIG)), "the file would be larger than this process may write"),
    "read-only": (OSError(errno.EROFS, os.strerror(errno.EROFS), "a"), "the file system is read-only: a"),
    "files": (OSError(errno.EMFILE, os.strerror(errno.EMFILE), "a"), "may open no more files (ulimit -n): a"),
    "memory": (MemoryError("Unable to allocate 3 GiB"), "there is no memory left: Unable to allocate 3 GiB"),
    "threads": (RuntimeError("can't start new thread"), "there is no memory left: can't start new thread"),
    "storage": (ValueError("RESOURCE_EXHAUSTED: x [OS error 28: No space left on device]"), "the disk is full: "),
    "device memory": (
        RuntimeError("RESOURCE_EXHAUSTED: Out of memory: 9 bytes"),
        "there is no memory left: ",
    ),
}


@pytest.mark.parametrize("what", LIMITS)
def test_a_limit_is_found_behind_other_errors(what):
    error, sentence = LIMITS[what]
    wrapped = RuntimeError("the checkpoint\nfailed")
    wrapped.__cause__ = error
    during = KeyError("x")
    during.__context__ = wrapped
    wrapped.__context__ = during  # a circle
    for each in (error, wrapped, during, ExceptionGroup("several", [KeyError("y"), wrapped])):
        message = describe_limit(each)
        assert message is not None
        assert sentence in message
        assert_harmless(message)
        assert "\n" not in message


def test_other_errors_are_faults():
    for error in (KeyError("x"), AssertionError(), OSError(errno.ENOENT, "No such file"), ValueError("a disk")):
        assert describe_limit(error) is None


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ValueError("x"), 2),
        (RuntimeError("RESOURCE_EXHAUSTED: x"), 2),
        (KeyError("x"), 1),
        (RuntimeError("x"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_exit_codes_tell_mistakes_from_faults(error, code):
    assert exit_code(error) == code


def test_warnings_begin_as_errors_do():
    """Also those of a library that logs before it has a handler, and would add one with another format."""
    command = [sys.executable, "-m", "aef_jax.cli.main", "config", "tiny", "--training.accumulate", "2"]
    warned = subprocess.run(command, capture_output=True, text=True, check=True).stderr.splitlines()
    assert warned[0].startswith("aef: ")
    assert "accumulate" in warned[0]
    code = (
        "import logging; from aef_jax.files.machine_limits import hush_libraries; hush_libraries('aef-parity');"
        "logging.warning('one'); other = logging.getLogger('other'); other.setLevel('INFO'); other.info('two')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "aef-parity: one\n"


@pytest.mark.parametrize("name", ["aef", "aef-parity"])
def test_commands_end_in_one_sentence(name, monkeypatch, capsys):
    def fail(*arguments, **options):
        raise RuntimeError("in a thread") from OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "runs/a\x1b[2J")

    if name == "aef":
        monkeypatch.setattr("aef_jax.inference.request.open_weights", fail)
        code = cli.main(["embed", "r", "--period", "2018", "-o", "f.tif"])
    else:
        monkeypatch.setattr("parity.aef.conversion.convert.convert", fail)
        code = parity_cli.main(["convert", "a", "b"])
    assert code == 2
    assert capsys.readouterr().err == f"{name}: the disk is full: runs/a\\x1b[2J\n"


@pytest.mark.parametrize("name", ["aef", "aef-parity"])
def test_a_fault_keeps_its_traceback(name, monkeypatch):
    def fail(*arguments, **options):
        raise KeyError("x")

    monkeypatch.setattr("aef_jax.inference.request.open_weights", fail)
    monkeypatch.setattr("parity.aef.conversion.convert.convert", fail)
    run = {"aef": cli.main, "aef-parity": parity_cli.main}[name]
    arguments = ["embed", "r", "--period", "2018", "-o", "f.tif"]
    with pytest.raises(KeyError):
        run(arguments if name == "aef" else ["convert", "a", "b"])


def test_what_cannot_be_written_is_told_before(tmp_path):
    (tmp_path / "file").write_text("")
    assert f"{tmp_path / 'file'} is no folder" in error_message(require_writable, tmp_path / "file" / "a" / "f.tif")
    assert "f.tif cannot be written: " in error_message(require_writable, tmp_path / ("x" * 250 + "f.tif"))
    assert "cannot be written" in error_message(require_writable, type(tmp_path)("/proc/f.tif"))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        with pytest.raises(ValueError, match="cannot be written") as caught:
            require_writable(tmp_path / "f.tif")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    shown = describe_limit(caught.value)  # as the commands print it
    assert shown
    assert shown.startswith(f"the file would be larger than this process may write: {tmp_path / 'f.tif'} ")
    assert ".tmp" not in shown
    require_writable(tmp_path / "new" / "deep" / "f.tif")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
