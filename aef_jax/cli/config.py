"""`aef config`: print a config."""

import argparse
import sys
from typing import Any

from aef_jax.cli.arguments import WHAT, add_command
from aef_jax.cli.resolve_config import resolve
from configs.serialization.config_json import summary_json, to_json
from configs.serialization.printable import print_lines

CLI_EXAMPLES = """
aef config tiny                             print the settings, and a line for each source
aef config tiny --training.steps 200        change a setting first
aef config tiny --sources > my.json         print the whole config, as aef train reads it
aef config tiny --sources sentinel2,nlcd    select sources, and print them in full
"""


def add_config_command(commands: Any) -> None:
    """Add `config`.

    Args:
        commands: what `add_subparsers` returned.
    """
    parser = add_command(commands, "config", "print a config as JSON", CLI_EXAMPLES, _config, True)
    parser.add_argument("what", metavar=WHAT)
    parser.add_argument("--sources", action="store_true", help="print the sources in full, too")


def _config(options: argparse.Namespace, settings: list[str]) -> int:
    config, _ = resolve(options.what, settings)
    if options.sources or any(word.partition("=")[0] == "--sources" for word in settings):
        print_lines(to_json(config), end="")
    else:
        print_lines(summary_json(config), end="")
        print_lines("aef: sources are summarized; --sources prints the whole config, for aef train", file=sys.stderr)
    return 0
