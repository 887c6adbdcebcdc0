"""Build sites in processes of this machine, or by the workers of a Dask cluster."""

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
Submit = Callable[[SitePlan, int, Path], "Future[None]"]
"""Starts to build a site: its plan, its number, and the folder of finished sites."""


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
def in_processes(builder: SiteBuilder, workers: int) -> Iterator[Submit]:
    """Build sites in processes of this machine.

    Args:
        builder: builds them.
        workers: processes. They begin with the first sites.

    Yields:
        What starts a site.
    """
    context = multiprocessing.get_context("spawn")  # a fork would share open files and locks of GDAL and NetCDF
    with ProcessPoolExecutor(workers, context, _begin_process, (builder,)) as pool:
        yield lambda plan, index, finished: pool.submit(_build_in_process, plan, index, finished)


@contextmanager
def on_dask(builder: SiteBuilder, address: str) -> Iterator[Submit]:
    """Build sites by the workers of a Dask cluster, which share this machine's file system.

    Args:
        builder: builds them.
        address: of the scheduler, such as tcp://10.0.0.1:8786.

    Yields:
        What starts a site.

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
        of_workers: Any = client.scatter(builder, broadcast=True)
        yield lambda plan, index, finished: executor.submit(build_site, of_workers, plan, index, finished.resolve())


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


_builder: SiteBuilder


def _begin_process(builder: SiteBuilder) -> None:
    """Keep the builder; and end with the process that began this one, whose death a pool does not tell its workers."""
    global _builder
    _builder = builder
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _build_in_process(plan: SitePlan, index: int, finished: Path) -> None:
    build_site(_builder, plan, index, finished)
