"""Damage to the files of a checkpoint, one file at a time, and the outcome of reading it."""

from collections.abc import Callable
from pathlib import Path

from tests.support.refusals import error_message


def _delete(file: Path) -> None:
    file.unlink()


def _empty(file: Path) -> None:
    file.write_bytes(b"")


def _truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def _zero(file: Path) -> None:
    file.write_bytes(bytes(file.stat().st_size))


def _flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0x10
    file.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "delete": _delete,
    "empty": _empty,
    "truncate": _truncate,
    "zero": _zero,
    "flip": _flip,
}


def assert_told(run: Path, damage: str, read: Callable[[Path], bool], whole: str, unread: tuple[str, ...] = ()) -> None:
    """Damage each file of the run's latest checkpoint in turn, and read the run, which is left as it was.

    Each damaged file is told in one sentence that ends with `whole`. Files that are not read give the same result:
    those beside the items, and of the items `unread`, which are only deleted. `read` returns whether the result is that
    of the undamaged run.
    """
    checkpoint = max((run / "checkpoints").iterdir(), key=lambda path: int(path.name))
    num_refused = 0
    for file in sorted(path for path in checkpoint.rglob("*") if path.is_file()):
        name = file.relative_to(checkpoint).as_posix()
        if name.startswith(unread) and damage != "delete":
            continue
        before = file.read_bytes()
        DAMAGES[damage](file)
        # without checksums, the checkpoint is read as one of an older version
        is_damaged = damage != "delete" if name == "checksums.json" else "/" in name and not name.startswith(unread)
        if not is_damaged:
            assert read(run), name
        else:
            message = error_message(read, run)
            assert f"{name} is damaged" in message or f"{name}: its JSON cannot be read" in message, name
            assert message.endswith(whole), name
            num_refused += 1
        file.write_bytes(before)
    assert num_refused > 5
