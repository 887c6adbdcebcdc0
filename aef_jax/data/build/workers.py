"""Call functions, and build sites, in processes of this machine or in the workers of a Dask cluster."""

import json
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aef_jax.data.build.site_builder import SiteBuilder
from aef_jax.data.build.sites.site_plan import SitePlan
from aef_jax.data.store.record import encode
from aef_jax.files.atomic import replace_file
from configs.serialization.printable import printable, sentence

CONNECT_S = 20
"""Seconds that a scheduler has to answer."""
Submit = Callable[..., Future[Any]]
"""Starts to call a function with what each process keeps and with further arguments."""


def record_path(finished: Path, index: int) -> Path:
    """Name the file of a finished site's record.

    Args:
        finished: folder of finished sites.
        index: of the site.

    Returns:
        The file. It is not there if the site could not be built.
    """
    return finished / f"{index:07d}.record"


def report_path(finished: Path, index: int) -> Path:
    """Name the file that says that a site is finished, and what was not used for it.

    Args:
        finished: folder of finished sites.
        index: of the site.

    Returns:
        The file.
    """
    return finished / f"{index:07d}.json"


@contextmanager
def in_processes(kept: object, workers: int) -> Iterator[Submit]:
    """Call functions in processes of this machine.

    Args:
        kept: sent to each process once; the first argument of all calls.
        workers: processes. They begin with the first calls.

    Yields:
        What starts a call.
    """
    context = multiprocessing.get_context("spawn")  # a fork would share open files and locks of GDAL and NetCDF
    with ProcessPoolExecutor(workers, context, _begin_process, (kept,)) as pool:
        yield lambda function, *arguments: pool.submit(_call, function, *arguments)


@contextmanager
def on_dask(kept: object, address: str) -> Iterator[Submit]:
    """Call functions in the workers of a Dask cluster, which share this machine's file system.

    Args:
        kept: sent to each worker once; the first argument of all calls.
        address: of the scheduler, such as tcp://10.0.0.1:8786.

    Yields:
        What starts a call.

    Raises:
        ModuleNotFoundError: Dask is not installed.
        ValueError: no scheduler answers.
    """
    try:
        from distributed import Client
    except ModuleNotFoundError:
        raise ModuleNotFoundError("--dask needs the package distributed: install aef[dask]") from None
    try:
        client = Client(address, timeout=CONNECT_S)
    except (OSError, ValueError) as error:
        raise ValueError(f"--dask: no scheduler answers at {printable(address)} ({sentence(error)})") from error
    with client, client.get_executor(pure=False) as executor:
        of_workers: Any = client.scatter(kept, broadcast=True)
        yield lambda function, *arguments: executor.submit(function, of_workers, *arguments)


def build_site(builder: SiteBuilder, plan: SitePlan, index: int, finished: Path) -> None:
    """Write a site's record, and then its report, which says that the site is finished.

    Args:
        builder: builds it.
        plan: the site.
        index: its number.
        finished: folder of finished sites.
    """
    site, report = builder.build(plan)
    if site is not None:
        with replace_file(record_path(finished, index)) as temporary:
            temporary.write_bytes(encode(site))
    with replace_file(report_path(finished, index)) as temporary:
        temporary.write_text(json.dumps([report.dropped, report.rejects, report.warnings]))


_kept: Any


def _begin_process(kept: object) -> None:
    """Keep the first argument of calls.

    And end with the process that began this one, whose death a pool does not tell its workers.
    """
    global _kept
    _kept = kept
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(_kept, *arguments)
