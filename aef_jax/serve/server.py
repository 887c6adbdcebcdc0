"""A local web server for a map of embedding fields.

It answers only the addresses that are listed in `_Handler`: a page, Leaflet's files, tiles and clicks. No part of an
address is ever a path of a file.
"""

import json
import re
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from aef_jax.data.places.geometry import parse_degrees
from aef_jax.inference.extras import needs_extra
from aef_jax.serve.field_map import MAX_ZOOM
from aef_jax.serve.field_maps import FieldMaps, Query
from configs.serialization.printable import sentence

_TILE = re.compile(r"/tiles/(\d{1,4})/(\d{1,2})/(\d{1,8})/(\d{1,8})\.png", re.ASCII)
_LEAFLET_FILES = {"leaflet.js": "text/javascript", "leaflet.css": "text/css"}
_LOCAL_NAMES = ("127.0.0.1", "localhost", "::1")
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"
)
"""Content security policy: the page loads nothing from elsewhere."""


class FieldServer(ThreadingHTTPServer):
    """A server of one map.

    Args:
        maps: the fields.
        address: host name and port to listen at; port 0 takes a free one.

    Raises:
        ModuleNotFoundError: Leaflet is not installed.
    """

    daemon_threads = True

    def __init__(self, maps: FieldMaps, address: tuple[str, int]):
        self.maps = maps
        self.leaflet = _read_leaflet()
        self.page = (files("aef_jax.serve") / "page.html").read_bytes()
        super().__init__(address, _Handler)

    @property
    def url(self) -> str:
        """Address of the page."""
        host, port = self.server_address[:2]
        return f"http://{host}:{port}/"


class _Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: FieldServer  # pyright: ignore[reportIncompatibleVariableOverride]
    protocol_version = "HTTP/1.1"
    timeout = 60
    """Seconds after which an idle connection is closed."""

    def handle(self) -> None:
        """Answer the requests of a connection until the browser closes it, as for tiles that left the window."""
        with suppress(ConnectionError):
            super().handle()

    def do_GET(self) -> None:
        """Answer a request; a mistake is answered by its sentence."""
        try:
            kind, body = self._answer()
        except LookupError:
            self._send(HTTPStatus.NOT_FOUND, "text/plain", b"there is no such address\n")
        except ValueError as error:
            self._send(HTTPStatus.BAD_REQUEST, "text/plain", f"{sentence(error)}\n".encode())
        else:
            self._send(HTTPStatus.OK, kind, body)

    def _answer(self) -> tuple[str, bytes]:
        """Return the media type and the body. Raises LookupError if nothing has the address."""
        path, maps = urlsplit(self.path).path, self.server.maps
        self._require_local_name()
        if path == "/":
            return "text/html", self.server.page
        if path == "/map.json":
            return "application/json", json.dumps(maps.describe()).encode()
        if path == "/point":
            if (query := self._query()) is None:
                raise ValueError("the address has no lon, lat and field")
            return "application/json", json.dumps(maps.compare(query)).encode()
        if match := _TILE.fullmatch(path):
            field, zoom, column, row = map(int, match.groups())
            if field >= len(maps.maps) or zoom > MAX_ZOOM or max(column, row) >= 2**zoom:
                raise LookupError
            return "image/png", maps.tile_png(field, zoom, column, row, self._query())
        return _LEAFLET_FILES[path[1:]], self.server.leaflet[path[1:]]

    def _require_local_name(self) -> None:
        """Refuse other host names if the server is a local one: a page of the web could be resolved to it."""
        name = urlsplit(f"//{self.headers.get('Host', '')}").hostname
        if self.server.server_address[0] == "127.0.0.1" and name not in _LOCAL_NAMES:
            raise ValueError("the address has another host name than that of this server")

    def _query(self) -> Query | None:
        """Parse the clicked point; None if the address has none."""
        values = parse_qs(urlsplit(self.path).query)
        if not values.keys() & {"lon", "lat", "field"}:
            return None
        lon, lat = (parse_degrees(name, values.get(name, [""])[0]) for name in ("lon", "lat"))
        field = values.get("field", [""])[0]
        if not re.fullmatch(r"[0-9]{1,4}", field) or int(field) >= len(self.server.maps.maps):
            raise ValueError(f"there is no field of this index, expected 0 to {len(self.server.maps.maps) - 1}")
        return Query(int(field), lon, lat)

    def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        charset = "" if kind == "image/png" else "; charset=utf-8"
        for name, value in {
            "Content-Type": kind + charset,
            "Content-Length": str(len(body)),
            "Content-Security-Policy": _POLICY,
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args) -> None:
        """Print nothing: a map asks for hundreds of tiles."""


def _read_leaflet() -> dict[str, bytes]:
    """Return Leaflet's files by name."""
    with needs_extra("maps in the browser", "serve"):
        from xstatic.pkg import leaflet
    return {name: (Path(leaflet.BASE_DIR) / name).read_bytes() for name in _LEAFLET_FILES}
