"""Small STAC catalogs of COGs, static and behind a server."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pystac
import rasterio
import rasterio.warp

from tests.support.data.serving import serving

TOKEN = "signed"
"""What the server wants in the query of each file's URL."""


def write_item(
    folder: Path,
    name: str,
    time: str,
    bands: Mapping[str, np.ndarray],
    corner: tuple[str, float, float],
    stack: bool = False,
    described: bool = True,
    **properties: Any,
) -> pystac.Item:
    """Write a COG per band, or one of all, with pixels of 10 m from a corner (crs, west, north) on."""
    crs, west, north = corner
    height, width = next(iter(bands.values())).shape
    transform = rasterio.Affine(10, 0, west, 0, -10, north)
    bounds = west, north - 10 * height, west + 10 * width, north
    box = list(rasterio.warp.transform_bounds(crs, "EPSG:4326", *bounds))
    item = pystac.Item(name, _box_geometry(box), box, np.datetime64(time, "ms").item(), properties)
    folder.mkdir(parents=True, exist_ok=True)
    profile = {"driver": "COG", "height": height, "width": width, "crs": crs, "transform": transform, "nodata": 0}
    for key, names in {"stack": list(bands)}.items() if stack else [(band, [band]) for band in bands]:
        path = folder / f"{name}_{key}.tif"
        values = np.stack([bands[band] for band in names])
        with rasterio.open(path, "w", **profile, count=len(names), dtype=values.dtype) as file:
            file.write(values)
            if stack and described:
                file.descriptions = names
        item.add_asset(key, pystac.Asset(str(path), media_type=pystac.MediaType.COG, roles=["data"]))
        if stack:
            item.assets[key].extra_fields["eo:bands"] = (
                [{"name": band} for band in sorted(names)] if described else [{"name": band} for band in names]
            )
    item.add_asset("thumbnail", pystac.Asset(str(folder / "none.png"), roles=["thumbnail"]))
    return item


def write_catalog(folder: Path, items: list[pystac.Item], collection: str = "s2") -> str:
    """Write a static catalog with one collection; return the path of its root."""
    extent = pystac.Extent(pystac.SpatialExtent([[-180, -90, 180, 90]]), pystac.TemporalExtent([[None, None]]))
    root, child = pystac.Catalog("root", "scenes"), pystac.Collection(collection, "scenes", extent)
    root.add_child(child)
    child.add_items(items)
    root.normalize_and_save(str(folder), pystac.CatalogType.SELF_CONTAINED)
    return str(folder / "catalog.json")


def sign(item: pystac.Item) -> pystac.Item:
    """Put the token into the URLs of an item."""
    for asset in item.assets.values():
        asset.href += f"?token={TOKEN}"
    return item


@contextmanager
def served(folder: Path, items: list[pystac.Item]) -> Iterator[tuple[str, list[str]]]:
    """Serve a STAC API and the files of its items; give its URL, and a list that all requests are added to.

    The first search is answered by 503. Files are given only to those who have the token.
    """
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self, status: int, body: bytes, kind: str = "application/geo+json") -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def do_GET(self):
            requests.append(f"{self.command} {self.path}")
            url, at = urlsplit(self.path), f"http://127.0.0.1:{self.server.server_address[1]}"
            if url.path.startswith("/files/"):
                path = folder / url.path.removeprefix("/files/")
                allowed = url.query == f"token={TOKEN}" and path.exists()
                return self.answer(200 if allowed else 403, path.read_bytes() if allowed else b"", "image/tiff")
            links = [
                {"rel": rel, "href": f"{at}/{path}", "type": "application/geo+json", "method": method}
                for rel, path, method in (("self", "", "GET"), ("root", "", "GET"), ("search", "search", "POST"))
            ]
            classes = [
                f"https://api.stacspec.org/v1.0.0/{name}" for name in ("core", "item-search", "item-search#query")
            ]
            landing = {"type": "Catalog", "id": "api", "description": "scenes", "stac_version": "1.0.0", "links": links}
            return self.answer(200, json.dumps({**landing, "conformsTo": classes}).encode())

        do_HEAD = do_GET

        def do_POST(self):
            question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            requests.append(f"POST {self.path} {json.dumps(question)}")
            if sum(request.startswith("POST") for request in requests) == 1:
                return self.answer(503, b"busy")
            matches = [self.located(item) for item in items if _is_found(item, question)]
            return self.answer(
                200, json.dumps({"type": "FeatureCollection", "features": matches, "links": []}).encode()
            )

        def located(self, item: pystac.Item) -> dict[str, Any]:
            at, table = f"http://127.0.0.1:{self.server.server_address[1]}", item.to_dict(include_self_link=False)
            for asset in table["assets"].values():
                asset["href"] = f"{at}/files/{Path(asset['href']).name}"
            return {**table, "links": [], "collection": "s2"}

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    with serving(Handler) as url:
        yield url, requests


def _is_found(item: pystac.Item, question: Mapping[str, Any]) -> bool:
    west, south, east, north = item.bbox or (0, 0, 0, 0)
    box = question.get("bbox", [-180, -90, 180, 90])
    start, end = question.get("datetime", "1900-01-01T00:00:00Z/2100-01-01T00:00:00Z").split("/")
    time = item.properties.get("datetime") or pystac.utils.datetime_to_str(item.datetime)
    cloud = question.get("query", {}).get("eo:cloud_cover", {}).get("lt", 101)
    meets = box[0] <= east and box[2] >= west and box[1] <= north and box[3] >= south
    return meets and start <= time <= end and item.properties.get("eo:cloud_cover", 0) < cloud


def _box_geometry(box: list[float]) -> dict[str, Any]:
    west, south, east, north = box
    return {
        "type": "Polygon",
        "coordinates": [[[west, south], [east, south], [east, north], [west, north], [west, south]]],
    }
