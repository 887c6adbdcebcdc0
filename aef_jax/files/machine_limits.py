"""Say in one sentence what the machine has run out of, whichever library met it."""

import errno
import logging
import os
import sys
from collections.abc import Iterator
from typing import Any

from configs.serialization.printable import printable, sentence

_LIMITS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file would be larger than this process may write",
    errno.EROFS: "the file system is read-only",
    errno.EMFILE: "this process may open no more files (ulimit -n)",
    errno.ENFILE: "this machine may open no more files",
    errno.ENOMEM: "there is no memory left",
}
_NO_MEMORY = ("RESOURCE_EXHAUSTED", "Out of memory", "can't start new thread", "std::bad_alloc")
"""What XLA, Python and C++ say about it."""
_DEVICES = os.path.join("jax", "_src", "xla_bridge.py")


def exit_code(error: BaseException) -> int:
    """Choose the exit code of a command that ends with an error.

    Args:
        error: what was raised.

    Returns:
        2 for a mistake of the user, damage or a limit of the machine, which one sentence tells; 130 for Ctrl-C; 1 for a
        fault of this program, whose traceback is printed.
    """
    if isinstance(error, KeyboardInterrupt):
        return 130
    is_told = isinstance(error, (ValueError, FloatingPointError, ModuleNotFoundError, OSError))
    return 2 if is_told or describe_limit(error) else 1


def hush_libraries(program: str) -> None:
    """Stop the log of Orbax, and that of the threads it writes in; print other warnings as the program's errors.

    They warn about choices that are intended here. Each error is raised, too, when the checkpoint is waited for: a full
    disk would be told in one sentence, and logged in two thousand lines.

    Args:
        program: the program's name.
    """
    root, to_stderr = logging.getLogger(), logging.lastResort
    if not root.handlers and to_stderr is not None:
        # a handler of the root keeps other libraries from adding one with a format of its own
        to_stderr.setFormatter(logging.Formatter(f"{program}: %(message)s"))
        root.addHandler(to_stderr)
    for name in ("absl", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = _print_unraisable


def describe_limit(error: BaseException) -> str | None:
    """Find a limit of the machine behind an error: disk, files, memory, devices.

    Libraries wrap what the system says into errors of their own, or only repeat its words.

    Args:
        error: what a command raised.

    Returns:
        A sentence, or None if the error has another reason.
    """
    for each in _behind(error):
        text = str(each)
        number = each.errno if isinstance(each, OSError) else None
        for limit, meaning in _LIMITS.items():
            if number == limit or os.strerror(limit) in text:
                name = getattr(each, "filename", None)
                return f"{meaning}: {printable(str(name)) if name else sentence(each, 200)}"
        if isinstance(each, MemoryError) or any(words in text for words in _NO_MEMORY):
            return f"there is no memory left: {sentence(each, 200)}"
        if _is_raised_in(each, _DEVICES):
            platforms = os.environ.get("JAX_PLATFORMS", "")
            asked = f"JAX_PLATFORMS is {platforms!r}" if platforms else "JAX_PLATFORMS is not set"
            return f"JAX finds no device that it can use ({asked}): {sentence(each, 200)}"
    return None


def _print_unraisable(unraisable: Any) -> None:
    """Print what Python cannot raise, but nothing for a write that TensorStore ends after another one has failed."""
    error = unraisable.exc_value
    if not (isinstance(error, RuntimeError) and str(error) == "Event loop is closed"):
        sys.__unraisablehook__(unraisable)


def _behind(error: BaseException) -> Iterator[BaseException]:
    """Return an error, what it was raised from, and the members of a group, each once."""
    waiting, seen = [error], set()
    while waiting:
        each = waiting.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        members = each.exceptions if isinstance(each, BaseExceptionGroup) else ()
        waiting += [e for e in (each.__cause__, each.__context__, *members) if e is not None]


def _is_raised_in(error: BaseException, file: str) -> bool:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_code.co_filename.endswith(file)
