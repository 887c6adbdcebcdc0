"""`aef field`: colors, search, classes, clusters and change of embedding fields."""

import argparse
from pathlib import Path
from typing import Any

from aef_jax.cli.arguments import Run, add_command, documented
from configs.serialization.printable import print_lines

CLI_EXAMPLES = """
aef field colors field.tif -o colors.tif                             three principal components as colors
aef field colors field.tif --axes A01 A16 A09 -o axes.tif            three of the 64 numbers as colors
aef field search field.tif --lon 4.95 --lat 50.8 -o similar.tif      cosine similarity to the vector at a point
aef field search field.tif --points examples.csv -o similar.tif      the same to the mean of several points
aef field classify field.tif --points labels.csv --column crop -o crops.tif
aef field cluster field.tif --clusters 8 -o clusters.tif
aef field change 2019.tif 2023.tif -o change.tif
aef field change 2019.tif 2023.tif --others 2018.tif 2020.tif 2021.tif 2022.tif -o change.tif
"""


def add_field_commands(commands: Any) -> None:
    """Add `field` and its subcommands.

    Args:
        commands: what `add_subparsers` returned.
    """
    summary = "color, search, classify, cluster and compare embedding fields"
    parser = commands.add_parser("field", help=summary, **documented(CLI_EXAMPLES))
    inner = parser.add_subparsers(dest="field_command", required=True, metavar="TOOL")
    for add in (_add_colors, _add_search, _add_classify, _add_cluster, _add_change):
        add(inner)


def _add_tool(commands: Any, name: str, summary: str, run: Run, *fields: str) -> argparse.ArgumentParser:
    examples = "\n".join(line for line in CLI_EXAMPLES.splitlines() if line.startswith(f"aef field {name} "))
    parser = add_command(commands, name, summary, examples, run)
    parser.set_defaults(addressable=fields)
    for field in fields:
        parser.add_argument(field, metavar=f"{field.upper()}.tif", help="an embedding field")
    output_help = "GeoTIFF to write; a PNG is written beside it"
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.tif", help=output_help)
    return parser


def _add_colors(commands: Any) -> None:
    parser = _add_tool(commands, "colors", "draw a field in colors", _colors, "field")
    parser.add_argument(
        "--axes", nargs=3, metavar="A00", help="axes of red, green and blue (default: three principal components)"
    )
    parser.add_argument(
        "--range",
        nargs=2,
        type=float,
        metavar=("LOW", "HIGH"),
        help="values of --axes that are black and full color (default: -0.3 0.3)",
    )


def _add_search(commands: Any) -> None:
    summary = "map the cosine similarity to the vectors at points"
    parser = _add_tool(commands, "search", summary, _search, "field")
    parser.add_argument("--lon", type=float, action="append", help="degrees east; repeat both for several points")
    parser.add_argument("--lat", type=float, action="append", help="degrees north")
    parser.add_argument("--points", type=Path, metavar="FILE", help="CSV (lon, lat), GeoJSON or Parquet of points")


def _add_classify(commands: Any) -> None:
    parser = _add_tool(commands, "classify", "map classes from labeled points", _classify, "field")
    parser.add_argument(
        "--points", type=Path, required=True, metavar="FILE", help="CSV (lon, lat), GeoJSON or Parquet of points"
    )
    parser.add_argument("--column", default="class", help="column or property with the class (default: class)")
    parser.add_argument(
        "--method", choices=("knn", "linear"), default="knn", help="nearest neighbors (default), or logistic regression"
    )
    parser.add_argument("--neighbors", type=int, default=3, help="neighbors of knn (default: 3)")


def _add_cluster(commands: Any) -> None:
    parser = _add_tool(commands, "cluster", "map clusters of alike pixels", _cluster, "field")
    parser.add_argument("--clusters", type=int, default=8, help="number of clusters (default: 8)")
    parser.add_argument("--seed", type=int, default=0, help="of the fit (default: 0)")


def _add_change(commands: Any) -> None:
    summary = "map the change between two fields of two periods"
    parser = _add_tool(commands, "change", summary, _change, "before", "after")
    parser.add_argument(
        "--others",
        nargs="+",
        default=[],
        metavar="FIELD.tif",
        help="fields of at least three other years, for the significance",
    )
    parser.set_defaults(addressable=("before", "after", "others"))


def _colors(options: argparse.Namespace, _: list[str]) -> int:
    from aef_jax.analysis.colors import fit_colors, write_colors
    from aef_jax.visualize.field_colors import FIXED_RANGE, fixed_axes

    if options.range and not options.axes:
        raise ValueError("--range is of --axes, expected both: principal components are stretched by their percentiles")
    (field,) = _open(options, options.field)
    limits = tuple(options.range) if options.range else FIXED_RANGE
    colors = fixed_axes(options.axes, field.info.embed_dim, limits) if options.axes else fit_colors(field)
    return _print_written(options, write_colors(field, colors, options.output))


def _search(options: argparse.Namespace, _: list[str]) -> int:
    import numpy as np

    from aef_jax.analysis.points import read_points
    from aef_jax.analysis.similarity import write_similarity
    from aef_jax.data.places.geometry import parse_degrees

    lons, lats = options.lon or [], options.lat or []
    if len(lons) != len(lats) or bool(lons) == bool(options.points):
        raise ValueError("give a point by --lon and --lat, several by as many of both, or a file by --points")
    (field,) = _open(options, options.field)
    positions = read_points(options.points) if options.points else np.array([lons, lats], np.float64).T
    for lon, lat in positions.tolist():
        parse_degrees("lon", lon), parse_degrees("lat", lat)
    return _print_written(options, write_similarity(field, positions, options.output))


def _classify(options: argparse.Namespace, _: list[str]) -> int:
    from aef_jax.analysis.classes import fit_classifier, write_classification
    from aef_jax.analysis.points import labeled_vectors
    from aef_jax.console.units import plural

    (field,) = _open(options, options.field)
    labeled = labeled_vectors(field, options.points, options.column)
    classify, names = fit_classifier(labeled, options.method, options.neighbors)
    picture = write_classification(field, classify, names, options.output)
    print_lines(
        f"fitted to {plural(len(labeled.labels), 'point')} of {len(names)} classes;"
        f" {plural(labeled.left_out, 'point')} outside of the field or without data left out"
    )
    return _print_written(options, picture)


def _cluster(options: argparse.Namespace, _: list[str]) -> int:
    from aef_jax.analysis.classes import write_clusters

    (field,) = _open(options, options.field)
    return _print_written(options, write_clusters(field, options.clusters, options.seed, options.output))


def _change(options: argparse.Namespace, _: list[str]) -> int:
    from aef_jax.analysis.change import write_change

    before, after, *others = _open(options, options.before, options.after, *options.others)
    return _print_written(options, write_change(before, after, others, options.output))


def _open(options: argparse.Namespace, *paths: str) -> list:
    """Open fields of one grid, after the output was found to be writable and none of them."""
    from aef_jax.analysis.raster import require_raster_target
    from aef_jax.analysis.windows import require_same_grid
    from aef_jax.inference.readers.open_field import open_field

    require_raster_target(options.output)
    if options.output.resolve() in [Path(path).resolve() for path in paths]:
        raise ValueError(f"{options.output} is a field that is read, expected another file to write")
    fields = [open_field(path) for path in paths]
    require_same_grid(list(zip(paths, fields, strict=True)))
    return fields


def _print_written(options: argparse.Namespace, picture: Path) -> int:
    print_lines(f"wrote {options.output} and {picture}")
    return 0
