"""What is read ahead is read once, by whatever thread it is asked for."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from parity.files.read_ahead import ReadAhead


def test_threads_that_are_a_step_apart_read_nothing_twice():
    loads: Counter[int] = Counter()
    ahead = ReadAhead(range(50), lambda key: loads.update([key]) or -key)
    use_precision = [key for key in range(50) for _ in range(3)]
    apart = threading.Barrier(2)

    def fast_and_slow(offset: int) -> list[int]:
        found = []
        for key in range(50):
            apart.wait()
            found += [ahead[max(key - offset, 0)] for _ in range(3)]
        return found

    with ThreadPoolExecutor(2) as pool:
        fast, slow = pool.map(fast_and_slow, (0, 1))
    assert fast == [-key for key in use_precision]
    assert slow == [-max(key - 1, 0) for key in use_precision]
    assert loads == Counter(range(50))


def test_reading_ahead_overlaps_use_and_frees_used_tensors():
    begun = {key: threading.Event() for key in range(4)}
    ahead = ReadAhead(range(4), lambda key: begun[key].set() or [key])
    assert ahead[0] == [0]
    assert begun[1].wait(10)
    assert not begun[2].is_set()
    assert ahead[1] == [1]
    assert ahead[2] == [2]
    assert sorted(ahead.loaded) == [1, 2, 3]


def test_any_other_order_is_right():
    ahead = ReadAhead("abc", str.upper)
    assert [ahead[key] for key in "cabbca"] == list("CABBCA")


def test_what_goes_wrong_is_told_to_who_asks():
    def load(key: int) -> int:
        if key == 1:
            raise ValueError("damaged")
        return key

    ahead = ReadAhead(range(3), load)
    assert ahead[0] == 0
    with pytest.raises(ValueError, match="damaged"):
        ahead[1]
