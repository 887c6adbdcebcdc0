"""`aef serve`: show embedding fields on a map in a browser."""

import argparse
from contextlib import suppress
from pathlib import Path
from typing import Any

from aef_jax.cli.arguments import add_command
from configs.serialization.printable import print_lines

CLI_EXAMPLES = """
aef serve field.tif
aef serve 2019.tif 2020.tif 2021.tif
aef serve fields --port 9000
"""
FIELD_SUFFIXES = (".tif", ".tiff", ".zarr")


def add_serve_command(commands: Any) -> None:
    """Add `serve`.

    Args:
        commands: what `add_subparsers` returned.
    """
    parser = add_command(commands, "serve", "show embedding fields on a map in a browser", CLI_EXAMPLES, _serve)
    parser.set_defaults(addressable=("fields",))
    parser.add_argument("fields", nargs="+", metavar="FIELD.tif", help="fields, folders of them, or Zarr stores")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (default: 127.0.0.1, this machine)")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one (default: 8000)")


def _serve(options: argparse.Namespace, _: list[str]) -> int:
    from aef_jax.inference.readers.open_field import open_field
    from aef_jax.serve.field_maps import FieldMaps
    from aef_jax.serve.server import FieldServer

    if not 0 <= options.port < 2**16:
        raise ValueError(f"--port is {options.port}, expected 0 to 65535")
    paths = [path for name in options.fields for path in _field_paths(name)]
    fields = [(Path(path).stem, open_field(path)) for path in paths]
    fields.sort(key=lambda named: named[1].info.period or (0, 0))
    maps = FieldMaps(fields)
    try:
        server = FieldServer(maps, (options.host, options.port))
    except OSError as error:
        raise ValueError(f"cannot listen at {options.host}:{options.port}: {error.strerror}") from None
    with server:
        print_lines(f"the map is at {server.url}; Ctrl-C ends it")
        with suppress(KeyboardInterrupt):
            server.serve_forever()
    return 0


def _field_paths(name: str) -> list[str]:
    """List the fields of a folder, or of the periods of a Zarr store; a file is a field itself."""
    folder = Path(name)
    if folder.suffix == ".zarr":
        from aef_jax.inference.readers.zarr_store import list_periods

        return [f"{name}#{period}" for period in list_periods(name)]
    if not folder.is_dir() or folder.suffix in FIELD_SUFFIXES:
        return [name]
    paths = sorted(str(path) for path in folder.iterdir() if path.suffix in FIELD_SUFFIXES and path.name[0] != ".")
    if not paths:
        raise ValueError(f"{name}: it holds no field, expected files with names in {', '.join(FIELD_SUFFIXES)}")
    return paths
