"""Find acquisitions in a STAC API or in a static catalog of STAC."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from importlib import import_module
from typing import Any

import numpy as np
import rasterio
import rasterio.warp

from aef_jax.data.build.catalogs.acquisition import Acquisition
from aef_jax.data.build.catalogs.stac_items import acquisition_of_item
from aef_jax.data.build.config import FilesConfig
from aef_jax.data.build.readers.grid import Grid
from aef_jax.data.build.sites.footprint import are_near, cap_of
from aef_jax.data.build.sites.utm_grid import WGS84
from aef_jax.data.store.site import Period
from configs.serialization.printable import printable, sentence

TRIES = 6
"""Requests for one page of results: the first and those after failures of the server, each after twice the time."""
_RETRIED = (429, 500, 502, 503, 504)
"""HTTP's codes of servers that are busy or broken for a while."""
PAGE = 250
"""Items of a page of results."""


class StacCatalog:
    """Search a STAC API, or list a static catalog once. It is a `Catalog`.

    Args:
        files: the entry of the config.

    Raises:
        ValueError: the catalog cannot be read, or holds no item of the collection.
    """

    def __init__(self, files: FilesConfig):
        self.files = files
        self._where = printable(files.stac)
        self._sign = _load_hook(files.sign) if files.sign else None
        self._is_api = self._read("cannot be read", lambda: hasattr(self._root, "search"))
        if not self._is_api:
            self._items = self._read("cannot be read", self._list_items)
            self._caps = np.array([_cap_of_item(item) for item in self._items]).reshape(-1, 4)
        items = self._search(max_items=1) if self._is_api else self._items
        self.names: Sequence[str] = sorted(
            {name for item in items for name in acquisition_of_item(item, files).rasters}
        )
        """Names of the assets: of all items of a static catalog, of an API's first one."""
        if not self.names:
            raise ValueError(f"{self._where} has no item of {printable(files.collection or 'any collection')}")

    def find(self, grid: Grid, period: Period) -> list[Acquisition]:
        """List the acquisitions whose bounding box meets a site.

        Args:
            grid: of the site.
            period: support period, in epoch milliseconds.

        Returns:
            The acquisitions.

        Raises:
            ValueError: the catalog cannot be searched, or an item has no time.
        """
        if self._is_api:
            start, end = (np.datetime64(ms, "ms").item().isoformat() + "Z" for ms in period)
            options = {"datetime": f"{start}/{end}"} if self.files.source.timed else {}
            items = self._search(bbox=_degrees(grid), **options)
        else:
            near = are_near(self._caps, grid.cap)
            items = [self._items[index] for index in np.flatnonzero(near)]
        return [acquisition_of_item(self._sign(item.clone()) if self._sign else item, self.files) for item in items]

    @cached_property
    def _root(self) -> Any:
        """The catalog: a `pystac_client.Client` if it can be searched."""
        import pystac
        from pystac.stac_io import RetryStacIO
        from pystac_client import Client
        from pystac_client.stac_api_io import StacApiIO
        from urllib3 import Retry

        retry = Retry(TRIES - 1, backoff_factor=1, status_forcelist=_RETRIED, allowed_methods=None)
        root = pystac.Catalog.from_file(self.files.stac, stac_io=RetryStacIO(retry=retry))
        if not root.extra_fields.get("conformsTo"):
            return root
        return Client.open(self.files.stac, stac_io=StacApiIO(max_retries=retry))

    def _search(self, **options: Any) -> list[Any]:
        collections = [self.files.collection] if self.files.collection else None
        search = {"collections": collections, "query": dict(self.files.query) or None, "limit": PAGE, **options}
        return self._read("cannot be searched", lambda: list(self._root.search(**search).items()))

    def _list_items(self) -> list[Any]:
        """Read all items of a static catalog, in the order of their names."""
        root = self._root.get_child(self.files.collection, recursive=True) if self.files.collection else self._root
        items = [] if root is None else list(root.get_items(recursive=True))
        matching = [item for item in items if _matches(item.properties, self.files.query)]
        return sorted(matching, key=lambda item: (item.collection_id or "", item.id))

    def _read(self, problem: str, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except Exception as error:  # of pystac, of the network, or of what a server sends
            raise ValueError(f"{self._where} {problem}: {sentence(error)}") from error

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the connection and the hook, which another process makes anew."""
        return {name: value for name, value in self.__dict__.items() if name not in ("_root", "_sign")}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state)
        self._sign = _load_hook(self.files.sign) if self.files.sign else None


def _load_hook(name: str) -> Callable[[Any], Any]:
    """Import a function that signs an item, such as `planetary_computer:sign`."""
    module, _, function = name.partition(":")
    try:
        return getattr(import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f"sign is {printable(name)}, which cannot be imported ({sentence(error)}), expected package:function"
        ) from error


def _matches(properties: Mapping[str, Any], query: Mapping[str, Mapping[str, float | str]]) -> bool:
    """Apply the query of a static catalog, as an API would."""
    compare = {
        "lt": lambda a, b: a < b,
        "lte": lambda a, b: a <= b,
        "gt": lambda a, b: a > b,
        "gte": lambda a, b: a >= b,
        "eq": lambda a, b: a == b,
    }
    return all(
        name in properties and compare[operator](properties[name], value)
        for name, conditions in query.items()
        for operator, value in conditions.items()
    )


def _degrees(grid: Grid) -> list[float]:
    """Return the bounding box of a site; across 180 degrees, its west is above its east, as STAC wants it."""
    return list(rasterio.warp.transform_bounds(rasterio.CRS.from_user_input(grid.crs), WGS84, *grid.bounds))


def _cap_of_item(item: Any) -> tuple[float, float, float, float]:
    box = item.bbox
    if not box:
        return 1.0, 0.0, 0.0, np.pi
    west, south, east, north = box if len(box) == 4 else (*box[:2], *box[3:5])  # with heights it has six numbers
    width = east - west + (360 if east < west else 0)
    return cap_of(WGS84, (width, 0, west, 0, south - north, north), (1, 1))
