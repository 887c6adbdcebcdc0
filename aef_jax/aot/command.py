"""The command `aef compile`."""

import json
from pathlib import Path

import jax

from aef_jax.aot.compile import compile_step
from aef_jax.aot.report import as_text, as_tree
from aef_jax.files.atomic import replacing
from configs.config import Config


def compile_command(config: Config, topology: str, output: Path, save: Path | None = None, full: bool = False) -> int:
    """Compiles, prints the report and writes it to `output`; keeps the executable in `save`; see `compile_step`."""
    jax.config.update("jax_platforms", "cpu")  # chips that are there have other things to do
    compiled = compile_step(config, topology, save, full)
    print(as_text(compiled))
    with replacing(output) as temporary:
        temporary.write_text(json.dumps(as_tree(compiled), indent=2) + "\n")
    print(f"\nall of it is in {output}" + (f"; the executable is {save}" if save else ""))
    return 0
