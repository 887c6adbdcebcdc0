"""Files that are not on a local disk: found and copied by fsspec, or read in place by GDAL."""

from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from jaxtyping import Float32

from aef_jax.files.atomic import replace_file
from configs.serialization.printable import printable, sentence

GDAL_OPTIONS: Mapping[str, Any] = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",  # else GDAL lists the folder of each file, which may be a bucket
    "GDAL_HTTP_MAX_RETRY": "5",
    "GDAL_HTTP_RETRY_DELAY": "1",  # seconds, doubled with each try
    "GDAL_HTTP_TIMEOUT": "60",
}
"""Options of GDAL for files of object stores and web servers. Its own variables in the environment give credentials."""


def is_remote(path: str) -> bool:
    """Tell whether a path is a URL.

    Args:
        path: such as s3://bucket/a.tif.

    Returns:
        True if it is one.
    """
    return "://" in path


def without_query(path: str) -> str:
    """Cut the query off a URL: it is no part of a file's name, and may be a signature that messages must not show.

    Args:
        path: a path or a URL.

    Returns:
        The URL before its `?`; a local path as it is.
    """
    return path.split("?", 1)[0] if is_remote(path) else path


def reason(error: Exception, path: str) -> str:
    """Say why a file cannot be read.

    Args:
        error: of a library.
        path: the file's path or URL.

    Returns:
        The error's message, without the query of the URL.
    """
    query = path.removeprefix(without_query(path))
    return sentence(OSError(str(error).replace(query, "") if query else str(error) or type(error).__name__))


def find_remote(pattern: str) -> list[str]:
    """List the files that match a URL.

    Args:
        pattern: with `*`, `?` or `**`, if the store can list its files: s3://, gs://, file://.

    Returns:
        URLs; the pattern itself if it has no such character.

    Raises:
        ValueError: the store cannot be reached or is of no known kind.
    """
    if not set("*?[") & set(pattern):
        return [pattern]
    import fsspec

    try:
        store, root = fsspec.core.url_to_fs(pattern)
        return [store.unstrip_protocol(str(path)) for path in store.glob(root)]
    except Exception as error:  # of whichever store it is
        raise ValueError(f"{printable(pattern)} cannot be listed: {sentence(error)}") from error


def local_copy(path: str, cache: str) -> Path:
    """Copy a remote file whose format cannot be read in parts; a local one is itself.

    Args:
        path: a path or a URL.
        cache: folder of copies. A file is copied once.

    Returns:
        The local file.

    Raises:
        ValueError: there is no folder of copies, or the file cannot be read.
    """
    if not is_remote(path):
        return Path(path)
    if not cache:
        raise ValueError(
            f"{printable(without_query(path))} must be copied to be read: give cache, a folder, in the config"
        )
    copy = Path(cache) / f"{_digest(path)}{PurePosixPath(without_query(path)).suffix}"
    if copy.exists():
        return copy
    import fsspec

    copy.parent.mkdir(parents=True, exist_ok=True)
    try:
        with replace_file(copy) as temporary:
            store, remote = fsspec.core.url_to_fs(path)
            store.get_file(remote, str(temporary))
    except Exception as error:  # of whichever store it is
        raise ValueError(f"{printable(without_query(path))} cannot be copied: {reason(error, path)}") from error
    return copy


def read_cached(
    cache: str, path: str, window: tuple[int, ...], read: Callable[[], Float32[np.ndarray, "h w"]]
) -> Float32[np.ndarray, "h w"]:
    """Read a window of a remote file, or what was read of it before.

    Args:
        cache: folder of windows; empty for none.
        path: of the file. The query of a URL, which may be a signature, does not count.
        window: band, rows and columns.
        read: reads it.

    Returns:
        The values.
    """
    if not cache or not is_remote(path):
        return read()
    stored = Path(cache) / f"{_digest(path)}_{'_'.join(map(str, window))}.npy"
    if stored.exists():
        return np.load(stored, allow_pickle=False)
    values = read()
    stored.parent.mkdir(parents=True, exist_ok=True)
    with replace_file(stored) as temporary, temporary.open("wb") as file:
        np.save(file, values, allow_pickle=False)
    return values


def _digest(path: str) -> str:
    return sha256(without_query(path).encode()).hexdigest()[:32]
