"""The command `aef compile`."""

import json
from pathlib import Path

import jax

from aef_jax.aot.compile import compile_step
from aef_jax.aot.report import format_report, report_json
from aef_jax.files.atomic import replace_file, require_writable
from configs.config import Config
from configs.serialization.printable import print_lines


def compile_command(config: Config, topology: str, output: Path | None = None, full: bool = False) -> int:
    """Compile the training step, print the report, and write it if asked to.

    Args:
        config: of the training run.
        topology: the machine, such as v4:8x8x8.
        output: the JSON file to write; None writes none.
        full: optimize as training does (see `compile_step`).

    Returns:
        The exit status.
    """
    jax.config.update("jax_platforms", "cpu")  # leave the chips of this machine to others
    if output is not None:
        require_writable(output)
    compiled = compile_step(config, topology, full)
    print_lines(format_report(compiled))
    if output is not None:
        with replace_file(output) as temporary:
            temporary.write_text(json.dumps(report_json(compiled), indent=2) + "\n")
        print_lines(f"\nwrote {output}")
    return 0
