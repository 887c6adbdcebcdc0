"""`aef data build`: make a data set from files, site by site, in parallel and resumable.

Each finished site is a file in `OUT.building`, which a killed build leaves; the same command goes on from it. Jobs of
an array build a part each into the same folder. At the end the records are written in the order of the plan, so the
data set does not depend on who built which site.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from aef_jax.data.build.config import read_build_config
from aef_jax.data.build.frames.frames import BuildReport, Reject
from aef_jax.data.build.rejects import read_rejects, write_rejects
from aef_jax.data.build.site_builder import SiteBuilder
from aef_jax.data.build.sites.site_plan import PlannedSplit, SitePlan
from aef_jax.data.build.summary import BuildSummary
from aef_jax.data.build.workers import build_site, in_processes, on_dask, record_path, report_path
from aef_jax.data.store.dataset import Dataset
from aef_jax.data.store.record import decode
from aef_jax.data.store.records import SPLITS
from aef_jax.data.store.writer import DatasetWriter
from aef_jax.files.atomic import require_folder_target
from aef_jax.files.resumable import Part, begin_work, end_work
from configs.serialization.read_file import read_text


class _Plan(NamedTuple):
    builder: SiteBuilder
    writer: DatasetWriter
    sites: list[SitePlan]
    too_near: int
    known: int
    finished: Path
    """Folder of finished sites."""


def build_dataset(
    config_path: Path, output: Path, workers: int, append: bool = False, scheduler: str = ""
) -> BuildSummary:
    """Build a data set from the sites that are finished on, or add to one.

    Args:
        config_path: the config, a TOML file.
        output: folder of the data set. It must not exist, except to append.
        workers: processes that read files.
        append: add to the data set; sites of a name that it has are left out.
        scheduler: address of a Dask scheduler whose workers read the files, in place of processes. They share this
            machine's file system.

    Returns:
        The summary.

    Raises:
        ValueError: the config or all files are wrong, `output` exists, or `OUT.building` is of another build; to
            append, `output` is no data set or one of other sources or levels, or has a site of the same name elsewhere.
        ChildProcessError: a process was killed.
    """
    plan = _prepare(config_path, output, append)
    if not plan.sites:
        return BuildSummary(0, Counter(), Counter(), [], [], plan.too_near, plan.known)
    _build_sites(plan, range(len(plan.sites)), workers, scheduler)
    summary = _write(plan)
    end_work(plan.finished)
    return summary


def build_part(
    config_path: Path, output: Path, workers: int, part: Part, append: bool = False, scheduler: str = ""
) -> int:
    """Build some of the sites of a data set, and leave it to `build_dataset` to write it once all parts are done.

    Args:
        config_path: the config, a TOML file.
        output: folder of the data set. Other parts may be built at the same time, on machines that share it.
        workers: processes that read files.
        part: which sites.
        append: as that of `build_dataset`.
        scheduler: as that of `build_dataset`.

    Returns:
        Sites of the part.

    Raises:
        ValueError: as `build_dataset`.
        ChildProcessError: a process was killed.
    """
    plan = _prepare(config_path, output, append)
    numbers = part.share(len(plan.sites))
    _build_sites(plan, numbers, workers, scheduler)
    return len(numbers)


def _prepare(config_path: Path, output: Path, append: bool) -> _Plan:
    """Plan the sites, and make the folder of finished ones or go on in it."""
    if not append:
        require_folder_target(output, False, lambda name: False)
    config = read_build_config(config_path)
    writer = DatasetWriter(
        output, config.sources, levels=config.levels, append=append, mixed_levels=config.mixed_levels
    )
    builder = SiteBuilder(config, config_path.parent)
    known: dict[str, PlannedSplit] = {name: split for split in SPLITS for name in writer.dataset.listed_names(split)}
    planned, too_near = builder.plan(known)
    _require_same_ground([site for site in planned if site.name in known], writer.dataset)
    sites = [site for site in planned if site.name not in known]
    finished = output.with_name(f"{output.name}.building")
    if sites:
        plan = json.dumps([read_text(config_path), [site._asdict() for site in sites]], default=list)
        begin_work(finished, plan, "a build with another config or other sites")
    return _Plan(builder, writer, sites, too_near, len(planned) - len(sites), finished)


def _require_same_ground(plans: Sequence[SitePlan], dataset: Dataset) -> None:
    """Read the records of some sites. Raises ValueError if one is on another grid than planned."""
    records = {split: dataset.records(split) for split in SPLITS}
    places = {name: (split, i) for split in SPLITS for i, name in enumerate(dataset.listed_names(split))}
    for plan in tqdm(plans, "sites that are there", unit="site", leave=False, disable=not plans):
        split, index = places[plan.name]
        site = records[split][index]
        if (site.crs, site.transform, site.shape) != (plan.crs, plan.transform, (plan.side, plan.side)):
            raise ValueError(
                f"{dataset.path} has a site {plan.name!r} on another grid, {site.crs} {site.transform}, than the config"
                f" gives it, {plan.crs} {plan.transform}: expected another name"
            )


def _build_sites(plan: _Plan, numbers: range, workers: int, scheduler: str) -> None:
    """Build those of some sites that are not finished."""
    pending = [number for number in numbers if not report_path(plan.finished, number).exists()]
    finished = plan.finished.resolve()
    opened = on_dask(plan.builder, scheduler) if scheduler else in_processes(plan.builder, workers)
    with opened as submit:
        _await([submit(build_site, plan.sites[number], number, finished) for number in pending], len(numbers))


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


def _write(plan: _Plan) -> BuildSummary:
    """Write the data set from the finished sites."""
    builder, writer = plan.builder, plan.writer
    rejects, warnings = list(builder.unreadable), list[Reject]()
    dropped, frames, sites = Counter[str](), Counter[str](), 0
    with writer:
        for number, (site_plan, report) in enumerate(zip(plan.sites, _reports(plan), strict=True)):
            rejects += report.rejects
            dropped += report.dropped
            warnings += [Reject(f"site {site_plan.name}, {where}", reason) for where, reason in report.warnings]
            record = record_path(plan.finished, number)
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
        before = read_rejects(writer.path)  # none, except to append
        write_rejects(writer.path if writer.append else writer.temporary, dict.fromkeys([*before, *rejects]))
    return BuildSummary(sites, frames, dropped, rejects, warnings, plan.too_near, plan.known)


def _reports(plan: _Plan) -> Iterator[BuildReport]:
    for number in range(len(plan.sites)):
        dropped, *listed = json.loads(report_path(plan.finished, number).read_text())
        yield BuildReport(Counter(dropped), *([Reject(*item) for item in items] for items in listed))
