"""`aef data build`: make a data set from files, site by site, in parallel and resumable.

Each finished site is a file in `OUT.building`, which a killed build leaves; the same command goes on from it. Jobs of
an array build a part each into the same folder. At the end the records are written in the order of the plan, so the
data set does not depend on who built which site.
"""

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from aef_jax.data.build.config import read_build_config
from aef_jax.data.build.frames.frames import BuildReport, Reject
from aef_jax.data.build.rejects import REJECTS_NAME, write_rejects
from aef_jax.data.build.site_builder import SiteBuilder
from aef_jax.data.build.sites.site_plan import SitePlan
from aef_jax.data.build.workers import in_processes, on_dask, record_path, report_path
from aef_jax.data.store.record import decode
from aef_jax.data.store.writer import DatasetWriter
from aef_jax.files.atomic import replace_file, require_folder_target
from configs.serialization.read_file import read_text

_PLAN = "plan.json"
"""What a build that goes on must be the same in."""


class BuildSummary(NamedTuple):
    """What a build wrote, and what it left out."""

    sites: int
    frames: Counter[str]
    """By source."""
    dropped: Counter[str]
    """Frames by source and reason."""
    rejects: list[Reject]
    warnings: list[Reject]
    """By site."""
    too_near: int
    """Training sites left out because a validation site is near."""


@dataclass(frozen=True)
class Part:
    """The share of the sites that one job of an array builds."""

    index: int
    """From 1."""
    count: int
    """Of all parts."""


class _Plan(NamedTuple):
    builder: SiteBuilder
    sites: list[SitePlan]
    too_near: int
    finished: Path
    """Folder of finished sites."""


def build_dataset(config_path: Path, output: Path, workers: int, scheduler: str = "") -> BuildSummary:
    """Build a data set, from the sites that are finished on.

    Args:
        config_path: the config, a TOML file.
        output: folder of the data set. It must not exist.
        workers: processes that read files.
        scheduler: address of a Dask scheduler whose workers read the files, in place of processes. They share this
            machine's file system.

    Returns:
        The summary.

    Raises:
        ValueError: the config or all files are wrong, `output` exists, or `OUT.building` is of another build.
        ChildProcessError: a process was killed.
    """
    plan = _prepare(config_path, output)
    _build_sites(plan, range(len(plan.sites)), workers, scheduler)
    summary = _write(plan, output)
    shutil.rmtree(plan.finished)
    return summary


def build_part(config_path: Path, output: Path, workers: int, part: Part, scheduler: str = "") -> int:
    """Build some of the sites of a data set, and leave it to `build_dataset` to write it once all parts are done.

    Args:
        config_path: the config, a TOML file.
        output: folder of the data set. Other parts may be built at the same time, on machines that share it.
        workers: processes that read files.
        part: which sites.
        scheduler: as that of `build_dataset`.

    Returns:
        Sites of the part.

    Raises:
        ValueError: as `build_dataset`.
        ChildProcessError: a process was killed.
    """
    plan = _prepare(config_path, output)
    first, end = ((index * len(plan.sites)) // part.count for index in (part.index - 1, part.index))
    _build_sites(plan, range(first, end), workers, scheduler)
    return end - first


def describe(summary: BuildSummary, output: Path) -> str:
    """Say what a build wrote, and what it left out.

    Args:
        summary: of the build.
        output: folder of the data set.

    Returns:
        Lines to print.
    """
    lines = [f"{name}: {number} frames" for name, number in sorted(summary.frames.items())]
    lines += [f"{reason}: {number} frames left out" for reason, number in sorted(summary.dropped.items())]
    if summary.too_near:
        lines.append(f"{summary.too_near} sites left out, which are too near to a validation site")
    if summary.warnings:
        lines.append(f"{len(summary.warnings)} warnings; the first: {': '.join(summary.warnings[0])}")
    if summary.rejects:
        where, reason = summary.rejects[0]
        listed = output / REJECTS_NAME
        lines.append(f"{len(summary.rejects)} files or sites rejected, see {listed}; the first: {where}: {reason}")
    return "\n".join([*lines, f"wrote {summary.sites} sites to {output}"])


def _prepare(config_path: Path, output: Path) -> _Plan:
    require_folder_target(output, False, lambda name: False)
    config = read_build_config(config_path)
    builder = SiteBuilder(config, config_path.parent)
    sites, too_near = builder.plan()
    finished = output.with_name(f"{output.name}.building")
    _begin(finished, json.dumps([read_text(config_path), [site._asdict() for site in sites]], default=list))
    return _Plan(builder, sites, too_near, finished)


def _begin(finished: Path, plan: str) -> None:
    """Make the folder of finished sites, or go on in it."""
    path = finished / _PLAN
    if path.exists():
        if read_text(path) != plan:
            raise ValueError(
                f"{finished} is of a build with another config or other sites: remove it, or give another OUT"
            )
        return
    with replace_file(path) as temporary:
        temporary.write_text(plan)


def _build_sites(plan: _Plan, numbers: range, workers: int, scheduler: str) -> None:
    """Build those of some sites that are not finished."""
    pending = [number for number in numbers if not report_path(plan.finished, number).exists()]
    opened = on_dask(plan.builder, scheduler) if scheduler else in_processes(plan.builder, workers)
    with opened as submit:
        _await([submit(plan.sites[number], number, plan.finished) for number in pending], len(numbers))


def _await(jobs: list[Future[None]], total: int) -> None:
    try:
        for job in tqdm(as_completed(jobs), "sites", total=total, initial=total - len(jobs), unit="site"):
            job.result()
    except BrokenProcessPool as error:
        raise ChildProcessError(
            "a process that reads files was killed, maybe for its memory: use fewer --workers; the same command goes on"
            " from what is done"
        ) from error
    except BaseException:
        for job in jobs:
            job.cancel()
        raise


def _write(plan: _Plan, output: Path) -> BuildSummary:
    """Write the data set from the finished sites."""
    builder, plans, too_near, finished = plan
    rejects, warnings = list(builder.unreadable), list[Reject]()
    dropped, frames, sites = Counter[str](), Counter[str](), 0
    with DatasetWriter(output, builder.config.sources, levels=builder.config.levels) as writer:
        for (index, site_plan), report in zip(enumerate(plans), _reports(finished, len(plans)), strict=True):
            rejects += report.rejects
            dropped += report.dropped
            warnings += [Reject(f"site {site_plan.name}, {where}", reason) for where, reason in report.warnings]
            record = record_path(finished, index)
            if not record.exists():
                continue
            site = decode(record.read_bytes(), str(record))
            try:
                writer.add(site, "validation" if site_plan.split == "validation" else "training")
            except ValueError as error:
                rejects.append(Reject(f"site {site_plan.name}", str(error)))
                continue
            sites += 1
            frames.update({name: len(series.time_ms) for name, series in site.series.items()})
        if not sites and rejects:
            raise ValueError(f"no site could be built: {rejects[-1].where}: {rejects[-1].reason}")
        write_rejects(writer.temporary, rejects)
    return BuildSummary(sites, frames, dropped, rejects, warnings, too_near)


def _reports(finished: Path, number: int) -> Iterator[BuildReport]:
    for index in range(number):
        dropped, *listed = json.loads(report_path(finished, index).read_text())
        yield BuildReport(Counter(dropped), *([Reject(*item) for item in items] for items in listed))
