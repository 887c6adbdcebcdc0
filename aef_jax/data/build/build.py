"""`aef data build`: make a data set from files, site by site, in parallel and resumable.

Each finished site is a file in `OUT.building`, which a killed build leaves; the same command goes on from it. At the
end the records are written in the order of the plan, so the data set does not depend on who built which site.
"""

import csv
import json
import multiprocessing
import shutil
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from aef_jax.data.build.config import read_build_config
from aef_jax.data.build.frames import BuildReport, Reject
from aef_jax.data.build.site_builder import SiteBuilder
from aef_jax.data.build.site_plan import SitePlan
from aef_jax.data.store.record import decode, encode
from aef_jax.data.store.writer import DatasetWriter
from aef_jax.files.atomic import replace_file, require_folder_target
from configs.serialization.read_file import read_text

REJECTS_NAME = "rejects.csv"
"""File in the data set's folder that lists what was not used, with the columns where and reason."""
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


def build_dataset(config_path: Path, output: Path, workers: int) -> BuildSummary:
    """Build a data set.

    Args:
        config_path: the config, a TOML file.
        output: folder of the data set. It must not exist.
        workers: processes that read files.

    Returns:
        The summary.

    Raises:
        ValueError: the config or all files are wrong, `output` exists, or `OUT.building` is of another build.
        ChildProcessError: a process was killed.
    """
    require_folder_target(output, False, lambda name: False)
    config = read_build_config(config_path)
    builder = SiteBuilder(config, config_path.parent)
    plans, too_near = builder.plan()
    finished = output.with_name(f"{output.name}.building")
    _begin(finished, json.dumps([read_text(config_path), [plan._asdict() for plan in plans]], default=list))
    pending = [index for index in range(len(plans)) if not _report_path(finished, index).exists()]
    _build_all(builder, plans, pending, finished, workers)
    summary = _write(builder, plans, too_near, finished, output)
    shutil.rmtree(finished)
    return summary


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


def _build_all(builder: SiteBuilder, plans: list[SitePlan], pending: list[int], finished: Path, workers: int) -> None:
    context = multiprocessing.get_context("spawn")  # a fork would share open files and locks of GDAL and NetCDF
    with ProcessPoolExecutor(min(workers, max(len(pending), 1)), context, _set_builder, (builder,)) as pool:
        try:
            jobs = [pool.submit(_build_one, plans[index], index, finished) for index in pending]
            done = tqdm(as_completed(jobs), "sites", total=len(plans), initial=len(plans) - len(jobs), unit="site")
            for job in done:
                job.result()
        except BrokenProcessPool as error:
            raise ChildProcessError(
                f"a process that reads files was killed, maybe for its memory: use fewer --workers; {finished} holds"
                " what is done, and the same command goes on"
            ) from error
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


_builder: SiteBuilder


def _set_builder(builder: SiteBuilder) -> None:
    global _builder
    _builder = builder


def _build_one(plan: SitePlan, index: int, finished: Path) -> None:
    """Write a site's record, and then its report, which says that the site is finished."""
    site, report = _builder.build(plan)
    if site is not None:
        with replace_file(_record_path(finished, index)) as temporary:
            temporary.write_bytes(encode(site))
    with replace_file(_report_path(finished, index)) as temporary:
        temporary.write_text(json.dumps([report.dropped, report.rejects, report.warnings]))


def _write(builder: SiteBuilder, plans: list[SitePlan], too_near: int, finished: Path, output: Path) -> BuildSummary:
    """Write the data set from the finished sites."""
    rejects, warnings = list(builder.unreadable), list[Reject]()
    dropped, frames, sites = Counter[str](), Counter[str](), 0
    with DatasetWriter(output, builder.config.sources) as writer:
        for (index, plan), report in zip(enumerate(plans), _reports(finished, len(plans)), strict=True):
            rejects += report.rejects
            dropped += report.dropped
            warnings += [Reject(f"site {plan.name}, {where}", reason) for where, reason in report.warnings]
            record = _record_path(finished, index)
            if not record.exists():
                continue
            site = decode(record.read_bytes(), str(record))
            try:
                writer.add(site, "validation" if plan.split == "validation" else "training")
            except ValueError as error:
                rejects.append(Reject(f"site {plan.name}", str(error)))
                continue
            sites += 1
            frames.update({name: len(series.time_ms) for name, series in site.series.items()})
        if not sites and rejects:
            raise ValueError(f"no site could be built: {rejects[-1].where}: {rejects[-1].reason}")
        with (writer.temporary / REJECTS_NAME).open("w", newline="") as file:
            csv.writer(file).writerows([Reject._fields, *rejects])
    return BuildSummary(sites, frames, dropped, rejects, warnings, too_near)


def _reports(finished: Path, number: int) -> Iterator[BuildReport]:
    for index in range(number):
        dropped, *listed = json.loads(_report_path(finished, index).read_text())
        yield BuildReport(Counter(dropped), *([Reject(*item) for item in items] for items in listed))


def _record_path(finished: Path, index: int) -> Path:
    return finished / f"{index:07d}.record"


def _report_path(finished: Path, index: int) -> Path:
    return finished / f"{index:07d}.json"
