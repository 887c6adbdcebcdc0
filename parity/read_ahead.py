"""Reads in a known order, one step ahead of whoever asks, in the memory of two steps."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class ReadAhead(Generic[K, V]):
    """`load(key)` for keys that are mostly asked for in `order`, often the same one many times in a row."""

    def __init__(self, order: Sequence[K], load: Callable[[K], V]):
        self.next = dict(pairwise(order))
        self.load = load
        self.pool = ThreadPoolExecutor(1)
        self.loaded: dict[K, Future[V]] = {}

    def __getitem__(self, key: K) -> V:
        if next(iter(self.loaded), None) != key:
            self.loaded = {key: self.loaded.get(key) or self.pool.submit(self.load, key)}
            if key in self.next:
                self.loaded[self.next[key]] = self.pool.submit(self.load, self.next[key])
        return self.loaded[key].result()
