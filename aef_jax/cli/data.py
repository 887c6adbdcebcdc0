"""`aef data`: make data sets, and look at them."""

import argparse
import os
from pathlib import Path
from typing import Any

from aef_jax.cli.arguments import WHAT, add_command, add_part_option, documented
from aef_jax.cli.resolve_config import resolve, with_data
from configs.serialization.printable import print_lines
from configs.validate import require_at_least

CLI_EXAMPLES = """
aef data build build.toml mine                      build a data set from files and STAC catalogs
aef data make-planet planet --sites 200 --seed 0    write a procedural planet, for tests of the method
aef data add-text planet --table planet/points.csv  embed texts about places, and store them in the records
aef data build more.toml mine --append              add to it the sites that it lacks
aef data merge whole part1 part2                    write a data set of the records of several
aef data info planet                                print what a data set contains, and draw its values
aef data check planet                               read a whole data set, and list its problems
aef data show planet 3                              draw a training example
"""


def add_data_commands(commands: Any) -> None:
    """Add `data` and its subcommands.

    Args:
        commands: what `add_subparsers` returned.
    """
    summary = "make data sets, and look at them"
    parser = commands.add_parser("data", help=summary, **documented(CLI_EXAMPLES))
    inner = parser.add_subparsers(dest="data_command", required=True, metavar="COMMAND")
    for add in (_add_build, _add_merge, _add_make_planet, _add_add_text, _add_info, _add_check, _add_show):
        add(inner)


def _example(name: str) -> str:
    return "\n".join(line for line in CLI_EXAMPLES.splitlines() if line.startswith(f"aef data {name} "))


def _add_build(commands: Any) -> None:
    summary = "build a data set from files and STAC catalogs"
    parser = add_command(commands, "build", summary, _example("build"), _build)
    parser.add_argument("config", type=Path, nargs="?", metavar="CONFIG", help="TOML file; its paths begin beside it")
    parser.add_argument("output", type=Path, nargs="?", metavar="OUT", help="a new folder for the data set")
    parser.add_argument("--append", action="store_true", help="OUT is a data set: add the sites that it lacks, by name")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: one per core)")
    add_part_option(parser, "build")
    parser.add_argument("--dask", default="", metavar="ADDRESS", help="let a Dask cluster read the files")
    parser.add_argument("--example", action="store_true", help="print a config with comments, and end")


def _add_merge(commands: Any) -> None:
    summary = "write a data set of the records of several"
    parser = add_command(commands, "merge", summary, _example("merge"), _merge)
    parser.add_argument("output", type=Path, metavar="OUT", help="a new folder for the data set")
    parser.add_argument("inputs", type=Path, nargs="+", metavar="IN", help="folder of a data set; order is kept")
    parser.add_argument("--mixed-levels", action="store_true", help="frames of a source may be of several levels")


def _add_make_planet(commands: Any) -> None:
    summary = "write a procedural planet, for tests of the method"
    parser = add_command(commands, "make-planet", summary, _example("make-planet"), _make_planet)
    parser.add_argument("folder", type=Path, metavar="DIR", help="a new folder")
    parser.add_argument("--sites", type=int, default=100, help="number of sites (default: 100)")
    parser.add_argument("--side", type=int, default=128, help="pixels of 10 m along a site (default: 128)")
    parser.add_argument("--validation", type=float, default=0.2, help="share of sites for validation (default: 0.2)")
    # the old name of the option
    parser.add_argument("--heldout", type=float, dest="validation", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help="another seed makes another planet (default: 0)")


def _add_add_text(commands: Any) -> None:
    summary = "embed a table of texts, and store them in the records"
    parser = add_command(commands, "add-text", summary, _example("add-text"), _add_text)
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder of a data set")
    parser.add_argument(
        "--table", type=Path, required=True, help="CSV, GeoJSON or Parquet of lon, lat, start, end, text"
    )
    parser.add_argument("--model", default="", help="name or folder of a sentence-transformers model (default: MiniLM)")


def _add_info(commands: Any) -> None:
    summary = "print what a data set contains, and draw its values"
    parser = add_command(commands, "info", summary, _example("info"), _info)
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder of a data set")
    parser.add_argument("-o", "--output", type=Path, help="picture of the values (default: DIR/info.png)")


def _add_check(commands: Any) -> None:
    parser = add_command(
        commands, "check", "read a whole data set, and list its problems", _example("check"), _check_dataset
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder of a data set")


def _add_show(commands: Any) -> None:
    parser = add_command(commands, "show", "draw a training example", _example("show"), _show, True)
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder of a data set")
    parser.add_argument("index", type=int, metavar="INDEX", help="position among the run's examples, from 0")
    parser.add_argument("--preset", default="tiny", metavar=WHAT, help="config that cuts the example (default: tiny)")
    parser.add_argument("-o", "--output", type=Path, default=Path("example.png"), help="(default: example.png)")


def _build(options: argparse.Namespace, _: list[str]) -> int:
    from aef_jax.data.build.config import EXAMPLE

    if options.example:
        print_lines(EXAMPLE.read_text(), end="")
        return 0
    if options.output is None:
        raise ValueError("give a config and a new folder, as in aef data build build.toml mine")
    require_at_least("aef data build", "--workers", options.workers, 1)
    try:
        from aef_jax.data.build.build import build_dataset, build_part
        from aef_jax.data.build.summary import describe
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"reading files needs the package {error.name}: install aef[build]") from None

    if options.part:
        built = build_part(options.config, options.output, options.workers, options.part, options.append, options.dask)
        print_lines(f"built {built} sites; once all parts are, the same command without --part writes {options.output}")
        return 0
    summary = build_dataset(options.config, options.output, options.workers, options.append, options.dask)
    print_lines(describe(summary, options.output))
    return 0


def _merge(options: argparse.Namespace, _: list[str]) -> int:
    from aef_jax.data.build.merge import merge_datasets

    dataset = merge_datasets(options.output, options.inputs, options.mixed_levels)
    records = {split: sum(shard.records for shard in shards) for split, shards in dataset.shards.items()}
    counts = " and ".join(f"{number} {split}" for split, number in records.items())
    print_lines(f"wrote {counts} records to {options.output}")
    return 0


def _make_planet(options: argparse.Namespace, _: list[str]) -> int:
    from aef_jax.data.synthetic.write import write_planet

    write_planet(options.folder, options.sites, options.side, options.validation, options.seed)
    print_lines(f"wrote a procedural planet to {options.folder}; its texts are in {options.folder / 'points.csv'}")
    return 0


def _add_text(options: argparse.Namespace, _: list[str]) -> int:
    from aef_jax.data.text.add_text import add_text

    added = add_text(options.folder, options.table, options.model)
    print_lines(f"{options.folder}: {added.points} text points in {added.records} records; {added.outside} lie in none")
    return 0


def _info(options: argparse.Namespace, _: list[str]) -> int:
    from aef_jax.data.inspect.info import describe, write_histograms_png
    from aef_jax.files.atomic import require_writable

    output = options.output or options.folder / "info.png"
    require_writable(output)
    print_lines(describe(options.folder))
    write_histograms_png(options.folder, output)
    print_lines(f"wrote {output}")
    return 0


def _check_dataset(options: argparse.Namespace, _: list[str]) -> int:
    from aef_jax.data.inspect.check import problems

    number = 0
    for problem in problems(options.folder):
        print_lines(problem)
        number += 1
    print_lines(f"{options.folder}: " + (f"{number} problems" if number else "nothing wrong"))
    return 2 if number else 0


def _show(options: argparse.Namespace, settings: list[str]) -> int:
    from aef_jax.data.inspect.show import write_example_png
    from aef_jax.files.atomic import require_writable

    require_writable(options.output)
    config = with_data(resolve(options.preset, settings)[0], options.folder)
    print_lines(write_example_png(config, options.index, options.output))
    print_lines(f"wrote {options.output}")
    return 0
