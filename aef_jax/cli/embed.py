"""`aef embed`: write embedding fields."""

import argparse
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from aef_jax.cli.arguments import add_checkpoint_option, add_command, add_part_option, path_or_none
from configs.fields.frames import parse_period
from configs.serialization.printable import print_lines

CLI_EXAMPLES = """
aef embed runs/tiny --period 2018 -o field.tif
aef embed runs/mine --site site_00007 --period 2020-06-01 2020-09-01 --dtype float32 -o summer.tif
aef embed runs/mine --data build.toml --bounds 4.9 50.7 5.0 50.8 --period 2018 --period 2019 -o fields
aef embed runs/mine --data build.toml --area city.geojson --period 2018 --stac -o city.zarr
aef embed runs/mine --data build.toml --area country.geojson --period 2018 --part 3/100 -o country
aef embed mine.safetensors --framework torch --period 2018 -o field_torch.tif
"""


def add_embed_command(commands: Any) -> None:
    """Add `embed`.

    Args:
        commands: what `add_subparsers` returned.
    """
    summary = "write embedding fields of sites, or of any area straight from imagery"
    parser = add_command(commands, "embed", summary, CLI_EXAMPLES, _embed)
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a run; or weights, see --framework")
    parser.add_argument(
        "--period",
        nargs="+",
        action="append",
        required=True,
        metavar=("START", "END"),
        help="valid period: a year, or start and end in ISO 8601, UTC, the end exclusive; may be repeated",
    )
    parser.add_argument(
        "--support",
        nargs=2,
        metavar=("START", "END"),
        help="period of the frames to use (default: the site's own; else the valid period, or a year around it)",
    )
    parser.add_argument(
        "--data",
        type=path_or_none,
        metavar="DIR|CONFIG.toml",
        help="a data set, or a config of `aef data build` that says where imagery is (default: the run's data set)",
    )
    _add_ground(parser)
    _add_output(parser)
    parser.add_argument("--framework", default="jax", metavar="jax|torch", help="that computes (default: jax)")
    parser.add_argument(
        "--tile-side",
        type=int,
        metavar="PIXELS",
        help="of tiles, a multiple of 16 (default: as in training; paper: 128)",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=min(8, (os.cpu_count() or 1) - 1),
        help="processes that read imagery; 0 reads in a thread (default: one per core less one, at most 8)",
    )
    add_part_option(parser, "compute")
    add_checkpoint_option(parser)


def _add_ground(parser: argparse.ArgumentParser) -> None:
    ground = parser.add_mutually_exclusive_group()
    ground.add_argument("--area", type=Path, metavar="AREA.geojson", help="polygons, in GeoJSON or GeoParquet")
    ground.add_argument("--bounds", nargs=4, type=float, metavar=("W", "S", "E", "N"), help="a rectangle in degrees")
    ground.add_argument(
        "--site", nargs="+", metavar="NAME", help="sites of a data set (default: the first for validation)"
    )


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="OUT",
        help="FIELD.tif, FIELDS.zarr with all periods, or a folder; pictures are written beside",
    )
    parser.add_argument("--format", choices=("cog", "zarr"), default="cog", help="of a folder's files (default: cog)")
    parser.add_argument(
        "--dtype", choices=("int8", "float32"), default="int8", help="int8 quantizes as the public release (default)"
    )
    parser.add_argument("--stac", action="store_true", help="write a STAC item beside each file")


def _embed(options: argparse.Namespace, _: list[str]) -> int:
    from aef_jax.inference.request import Request, open_weights, tell_other_levels
    from aef_jax.inference.target import Target

    periods = [parse_period("valid", words) for words in options.period]
    if len(set(periods)) < len(periods):
        raise ValueError("a period is given twice, expected each once")
    support = parse_period("support", options.support) if options.support else None
    target = Target(options.output, options.format, options.dtype, options.stac, str(options.run))
    target.require(1, 1 if options.part else len(periods))  # before a checkpoint is read
    if options.data and options.framework == "jax":
        tell_other_levels(options.run, options.checkpoint, _levels(options.data), str(options.data))
    weights = open_weights(options.run, options.framework, options.checkpoint, options.tile_side)
    request = Request(weights, periods, support, target)
    paths = _embed_imagery(options, request) if _is_config(options.data) else _embed_records(options, request)
    if options.part:
        print_lines(f"computed part {options.part.index}; the same command without --part writes {options.output}")
    for path in paths:
        print_lines(f"wrote {path}")
    return 0


def _is_config(data: Path | None) -> bool:
    return data is not None and data.suffix == ".toml"


def _levels(data: Path) -> Mapping[str, str]:
    if _is_config(data):
        from aef_jax.data.build.config import read_build_config

        return read_build_config(data).levels
    from aef_jax.data.store.dataset import Dataset

    return Dataset.open(data).levels


def _embed_imagery(options: argparse.Namespace, request: Any) -> Sequence[Path]:
    from aef_jax.inference.imagery.embed_imagery import ImageryFields, tell_rejects

    if options.site or not (options.area or options.bounds):
        raise ValueError(f"{options.data} gives imagery of any ground: choose some with --area or --bounds")
    fields = ImageryFields(request, options.data, _polygons(options))
    tell_rejects(fields.compute(options.workers, options.part))
    return [] if options.part else fields.write()


def _embed_records(options: argparse.Namespace, request: Any) -> Sequence[Path]:
    from aef_jax.data.loading.training_data import find_site
    from aef_jax.inference.embed_records import embed_records

    path = options.data or path_or_none(request.weights.embedder.config.data.path)
    where = str(path or "the sample")
    if not (options.area or options.bounds):
        sites = [partial(find_site, path, name) for name in options.site or [None]]
        return embed_records(request, sites, where, options.part)
    if path is None:
        raise ValueError("the run was trained on the sample, which is one site: leave out --area and --bounds")
    from aef_jax.data.store.dataset import Dataset
    from aef_jax.inference.imagery.areas import sites_in_area

    return embed_records(request, sites_in_area(Dataset.open(path), _polygons(options)), where, options.part)


def _polygons(options: argparse.Namespace) -> Any:
    from aef_jax.inference.imagery.areas import polygon_of_bounds, read_area

    return read_area(options.area) if options.area else polygon_of_bounds(tuple(options.bounds))
