"""Serve folders and other things over HTTP."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@contextmanager
def serving(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[str]:
    """Answer requests; give the URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def serve_folder(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Serve the files of a folder; give its URL, and a list that the path of each request is added to."""
    requests: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def list_directory(self, path):
            self.send_error(404)  # as of an object store

        def log_message(self, format, *arguments):
            requests.append(self.path)

    with serving(partial(Handler, directory=str(folder))) as url:
        yield url, requests
