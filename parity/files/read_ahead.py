"""Reads in a known order, one step ahead of whoever asks, in the memory of three steps."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class ReadAhead(Generic[K, V]):
    """`load(key)` for keys that are asked for in `order`, by several threads, often the same one many times in a row.

    A thread may be one key behind the others; what it asks for is still there. Other orders are right, and slow.
    """

    def __init__(self, order: Sequence[K], load: Callable[[K], V]):
        self.order, self.load = order, load
        self.place = {key: place for place, key in enumerate(order)}
        self.pool = ThreadPoolExecutor(1)
        self.lock = Lock()
        self.loaded: dict[int, Future[V]] = {}

    def __getitem__(self, key: K) -> V:
        place = self.place[key]
        with self.lock:
            for one in (place, place + 1):
                if one < len(self.order) and one not in self.loaded:
                    self.loaded = {other: value for other, value in self.loaded.items() if abs(other - one) <= 2}
                    self.loaded[one] = self.pool.submit(self.load, self.order[one])
            value = self.loaded[place]
        return value.result()
