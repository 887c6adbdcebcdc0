"""`aef data`: making training sets, and looking at them."""

import argparse
from pathlib import Path

EXAMPLES = """examples:
  aef data make-planet planet --sites 200 --seed 0    a procedural planet: a test bench, no real place
  aef data add-text planet --table planet/points.csv  sentences about places, embedded and stored in the records
  aef data info planet                                what is in it, and a picture of its values
  aef data check planet                               reads all of it, and lists what is wrong
  aef data show planet 3                              a picture of one training example
"""


def add_data_commands(commands, documented) -> None:
    """Adds `data` and its own commands to a parser's; `documented` makes a parser with an epilog."""
    data = documented(commands.add_parser, EXAMPLES, name="data", help="make training sets, and look at them")
    inner = data.add_subparsers(dest="data_command", required=True, metavar="COMMAND")

    planet = documented(inner.add_parser, EXAMPLES, name="make-planet", help="write a procedural planet, a test bench")
    planet.add_argument("folder", type=Path, metavar="DIR", help="a new folder")
    planet.add_argument("--sites", type=int, default=100, help="how many (default: 100)")
    planet.add_argument("--side", type=int, default=128, help="pixels of 10 m along each (default: 128)")
    planet.add_argument("--heldout", type=float, default=0.2, help="share of them held out (default: 0.2)")
    planet.add_argument("--seed", type=int, default=0)
    planet.set_defaults(function=_make_planet, takes_settings=False)

    text = documented(inner.add_parser, EXAMPLES, name="add-text", help="embed a table of texts into the records")
    text.add_argument("folder", type=Path, metavar="DIR")
    text.add_argument("--table", type=Path, required=True, help="CSV with the columns lon, lat, start, end, text")
    text.add_argument("--model", default="", help="path or name of a sentence-transformers model (default: MiniLM)")
    text.set_defaults(function=_add_text, takes_settings=False)

    info = documented(inner.add_parser, EXAMPLES, name="info", help="say what is in a training set")
    info.add_argument("folder", type=Path, metavar="DIR")
    info.add_argument("-o", "--output", type=Path, help="the picture of its values (default: DIR/info.png)")
    info.set_defaults(function=_info, takes_settings=False)

    check = documented(inner.add_parser, EXAMPLES, name="check", help="read all of it, and list what is wrong")
    check.add_argument("folder", type=Path, metavar="DIR")
    check.set_defaults(function=_check, takes_settings=False)

    show = documented(inner.add_parser, EXAMPLES, name="show", help="draw one training example")
    show.add_argument("folder", type=Path, metavar="DIR")
    show.add_argument("index", type=int, metavar="INDEX", help="which of the run's examples, counted from 0")
    show.add_argument("--preset", default="tiny", metavar="PRESET|CONFIG.json|RUN", help="how it is drawn")
    show.add_argument("-o", "--output", type=Path, default=Path("example.png"), help="(default: example.png)")
    show.set_defaults(function=_show, takes_settings=True)


def _make_planet(options: argparse.Namespace, _: list[str]) -> int:
    from aef_jax.data.synthetic.write import write_planet

    write_planet(options.folder, options.sites, options.side, options.validation, options.seed)
    print(
        f"wrote {options.folder}: a procedural planet, a test bench; its texts are in {options.folder / 'points.csv'}"
    )
    return 0


def _add_text(options: argparse.Namespace, _: list[str]) -> int:
    from aef_jax.data.text.add_text import add_text

    added = add_text(options.folder, options.table, options.model)
    print(f"{options.folder}: {added.points} text points in {added.records} records; {added.outside} lie in none")
    return 0


def _info(options: argparse.Namespace, _: list[str]) -> int:
    from aef_jax.data.inspect.info import describe, write_histograms_png

    print(describe(options.folder))
    output = options.output or options.folder / "info.png"
    write_histograms_png(options.folder, output)
    print(f"wrote {output}")
    return 0


def _check(options: argparse.Namespace, _: list[str]) -> int:
    from aef_jax.data.inspect.check import problems

    found = 0
    for problem in problems(options.folder):
        print(problem)
        found += 1
    print(f"{options.folder}: " + (f"{found} problems" if found else "nothing wrong"))
    return 2 if found else 0


def _show(options: argparse.Namespace, settings: list[str]) -> int:
    from aef_jax.cli.main import resolve, with_data
    from aef_jax.data.inspect.show import write_example_png

    config = with_data(resolve(options.preset, settings)[0], options.folder)
    print(write_example_png(config, options.index, options.output))
    print(f"wrote {options.output}")
    return 0
