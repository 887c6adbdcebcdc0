"""`aef embed`: write an embedding field."""

import argparse
from pathlib import Path
from typing import Any

from aef_jax.cli.arguments import add_checkpoint_option, add_command, path_or_none
from configs.serialization.printable import print_lines

CLI_EXAMPLES = """
aef embed runs/tiny --start 2018-01-01 --end 2019-01-01 -o field.tif
aef embed runs/planet --site site_00007 --start 2020-06-01 --end 2020-09-01 --dtype float32 -o summer.tif
"""


def add_embed_command(commands: Any) -> None:
    """Add `embed`.

    Args:
        commands: what `add_subparsers` returned.
    """
    parser = add_command(commands, "embed", "write the embedding field of a valid period", CLI_EXAMPLES, _embed)
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a run")
    parser.add_argument("--start", required=True, metavar="DATE", help="start of the valid period, ISO 8601, UTC")
    parser.add_argument("--end", required=True, metavar="DATE", help="end of the valid period, exclusive")
    parser.add_argument(
        "--support-start",
        metavar="DATE",
        help="start of the frames to use (default: the site's support period, or a year around the valid period)",
    )
    parser.add_argument("--support-end", metavar="DATE", help="end of the frames to use, exclusive")
    parser.add_argument("--data", type=path_or_none, metavar="DIR", help="the run's data set, if it was moved")
    parser.add_argument("--site", metavar="NAME", help="site of a data set (default: the first for validation)")
    add_checkpoint_option(parser)
    parser.add_argument(
        "--dtype", choices=("int8", "float32"), default="int8", help="int8 quantizes as the public release (default)"
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FIELD.tif", help="GeoTIFF; a PNG is written beside it"
    )


def _embed(options: argparse.Namespace, _: list[str]) -> int:
    from aef_jax.data.store.site import to_ms
    from aef_jax.inference.embed import embed_run
    from aef_jax.run.folder import RunFolder

    period = to_ms(options.start), to_ms(options.end)
    if (options.support_start is None) != (options.support_end is None):
        raise ValueError("one end of the support period is missing: give --support-start and --support-end, or neither")
    support = (to_ms(options.support_start), to_ms(options.support_end)) if options.support_start else None
    picture = embed_run(
        RunFolder(options.run),
        period,
        support,
        options.output,
        options.dtype,
        data=options.data,
        site_name=options.site,
        which=options.checkpoint,
    )
    print_lines(f"wrote {options.output} and {picture}")
    return 0
