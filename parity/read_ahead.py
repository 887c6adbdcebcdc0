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
            if place not in self.loaded or place + 1 not in self.loaded:
                near = range(max(place - 1, 0), min(place + 2, len(self.order)))
                kept = {one: self.loaded[one] for one in near if one in self.loaded}
                for one in near[near.index(place) :]:
                    kept[one] = kept.get(one) or self.pool.submit(self.load, self.order[one])
                self.loaded = kept
            value = self.loaded[place]
        return value.result()
