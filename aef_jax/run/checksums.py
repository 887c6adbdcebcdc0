"""The size and checksum of each file of a checkpoint: written last, and verified before anything is read.

CRC-32 reads 4 GB/s on one core, several times what Orbax restores, so every restore verifies every byte that it reads.
"""

import asyncio
import json
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

from orbax.checkpoint.path import atomicity

from aef_jax.run.format import BYTES, CHECKSUMS, CRC32, FILES
from configs.serialization.printable import printable
from configs.serialization.strict_json import read_json

_BLOCK = 1 << 22


class ChecksummedPath(atomicity.AtomicRenameTemporaryPath):
    """Orbax's temporary folder of a checkpoint, which gets its checksums right before it gets its final name.

    Orbax calls `finalize` on the first host alone, after all hosts have written, and from the thread that writes.
    """

    async def finalize(self) -> None:
        """Write the checksums and rename the folder."""
        if self.get_final().name.isdecimal():  # Orbax makes one of these for each item, too
            await asyncio.to_thread(write_checksums, Path(self.get()))
        await super().finalize()


def write_checksums(checkpoint: Path) -> None:
    """Write the checksums of a checkpoint whose items are complete.

    Args:
        checkpoint: its folder.
    """
    files = {name: {BYTES: size, CRC32: _crc32(checkpoint / name)} for name, size in sorted(_sizes(checkpoint).items())}
    (checkpoint / CHECKSUMS).write_text(json.dumps({FILES: files, CRC32: _crc32_of(files)}))


def verify(checkpoint: Path, items: Collection[str] | None = None) -> None:
    """Require that the files of a checkpoint are those that were written.

    A checkpoint of an older version has no checksums and passes.

    Args:
        checkpoint: its folder.
        items: the items to verify; by default all that were written.

    Raises:
        ValueError: a file is missing, or has another size or other bytes; the message names it.
    """
    if not (checkpoint / CHECKSUMS).exists():
        return
    files = _read_checksums(checkpoint / CHECKSUMS)
    sizes = _sizes(checkpoint)
    verified = {name: file for name, file in files.items() if items is None or name.partition("/")[0] in items}
    for name, file in verified.items():  # the sizes of all files, before the bytes of any
        where = f"{checkpoint / printable(name)} is damaged"
        if name not in sizes:
            raise ValueError(f"{where}: it is missing")
        if sizes[name] != file[BYTES]:
            raise ValueError(f"{where}: it has {sizes[name]} bytes, expected {file[BYTES]} as it was written")
    for name, file in verified.items():
        if (actual := _crc32(checkpoint / name)) != file[CRC32]:
            raise ValueError(
                f"{checkpoint / printable(name)} is damaged: it has the checksum {actual}, expected {file[CRC32]} as it"
                " was written"
            )


def _read_checksums(path: Path) -> dict[str, Any]:
    tree = read_json(path)
    files = tree.get(FILES) if isinstance(tree, dict) else None
    if (
        not isinstance(files, dict)
        or tree.get(CRC32) != _crc32_of(files)
        or not all(isinstance(file, dict) and file.keys() == {BYTES, CRC32} for file in files.values())
    ):
        raise ValueError(f"{path} is damaged: its content is not what was written")
    return files


def _sizes(checkpoint: Path) -> dict[str, int]:
    """Return the bytes of each file of the items; Orbax changes files beside the items until the last moment."""
    files = (path for path in checkpoint.glob("*/**/*") if path.is_file() and not path.is_symlink())
    return {path.relative_to(checkpoint).as_posix(): path.stat().st_size for path in files}


def _crc32_of(files: dict[str, Any]) -> str:
    return f"{zlib.crc32(json.dumps(files).encode()):08x}"


def _crc32(path: Path) -> str:
    crc = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            crc = zlib.crc32(block, crc)
    return f"{crc:08x}"
