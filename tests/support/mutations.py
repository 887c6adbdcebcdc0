"""Mutate valid bytes, JSON and words, for fuzz tests: flips, cuts, splices, other numbers, other structures.

The mutations are the same in every run, and nothing is stored between runs.
"""

import copy
import json
import re
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import HealthCheck, configuration, given, settings
from hypothesis import strategies as st

from tests.support.hostile_names import HOSTILE_NAMES, MARKUP, assert_harmless

configuration.set_hypothesis_home_dir("/nonexistent")  # by default it stores what it parses in the current folder


def fuzz(number: int, **strategies: st.SearchStrategy) -> Callable[[Callable], Callable]:
    """Call a test with many mutations: the same ones in every run. Nothing is stored between runs."""
    options = settings(
        max_examples=number,
        derandomize=True,
        database=None,
        deadline=timedelta(seconds=10),  # a hang
        suppress_health_check=list(HealthCheck),
    )
    return lambda test: options(given(**strategies)(test))


NUMBERS = (0, -1, 1, 2**31, 2**32, 2**53, 2**62, 2**63 - 1, -(2**63), 2**64, 10**18, 10**30, 10**400)
ODD_VALUES = (
    *NUMBERS,
    *(None, True, False, 0.5, -0.0, 1e308, float("nan"), float("inf"), "", "0", "1", [], {}, [[]], [1, "a"], {"a": 1}),
    *HOSTILE_NAMES.values(),
    *("../x", "/etc/passwd", "..", ".", "con\\x", "__class__", "uint16", "sentinel2", MARKUP),
    "[" * 10_000,
)
MAX_BYTES = 2**28
"""More than any of these files needs beside the process itself."""
DEEP = "@deep@"
"""Stands for lists that are too deep for Python's own writer."""
SNIPPETS = (b"", b"\x00", b"\xff" * 8, b"{", b"}", b"[" * 10_000, b'"', b",", b":", b"NaN", b"1e999", b"\xed\xa0\x80")


_RANDOM = st.integers(0, 2**64 - 1).map(Random)  # drawing every choice by hypothesis would take ten times as long


def mutated_bytes(valid: bytes, head: int = 10**9) -> st.SearchStrategy[bytes]:
    """Mutate bytes at one to three places, most of them before `head`, where the structure is."""
    return _RANDOM.map(lambda random: _mutated_bytes(random, bytearray(valid), head))


def mutated_tree(valid: Any) -> st.SearchStrategy[bytes]:
    """Mutate parsed JSON at one to three places, and write it."""
    return _RANDOM.map(lambda random: _mutated_tree(random, copy.deepcopy(valid)))


def _mutated_bytes(random: Random, content: bytearray, head: int) -> bytes:
    for _ in range(random.randint(1, 3)):
        place = random.randint(0, min(head, len(content)) if random.random() < 0.75 else len(content))
        length = random.choice((1, 1, 1, 2, 8, 100))
        match random.choice(("flip", "set", "cut", "remove", "repeat", "splice", "number", "number")):
            case "flip" if place < len(content):
                content[place] ^= 1 << random.randrange(8)
            case "set" if place < len(content):
                content[place] = random.randrange(256)
            case "cut":
                del content[place:]
            case "remove":
                del content[place : place + length]
            case "repeat":
                content[place:place] = content[place : place + length]
            case "splice":
                content[place : place + length] = random.choice(SNIPPETS)
            case "number":
                number = re.search(rb"\d+", content[place:head])
                if number:
                    span = slice(place + number.start(), place + number.end())
                    content[span] = str(random.choice(NUMBERS)).encode()
    return bytes(content)


def _mutated_tree(random: Random, tree: Any) -> bytes:
    for _ in range(random.randint(1, 3)):
        containers = list(_containers(tree))
        node = random.choice(containers)
        if not node:
            continue
        key = random.choice(sorted(node) if isinstance(node, dict) else range(len(node)))
        match random.choice(("value", "value", "value", "delete", "rename", "copy", "swap", "wrap", "deep", "number")):
            case "value":
                node[key] = copy.deepcopy(random.choice(ODD_VALUES))
            case "number":
                node[key] = random.choice(NUMBERS)
            case "delete":
                del node[key]
            case "rename" if isinstance(node, dict):
                node[random.choice([*HOSTILE_NAMES.values(), "", "mean", "name"])] = node.pop(key)
            case "copy" if isinstance(node, list):
                node.append(copy.deepcopy(node[key]))
            case "swap":
                node[key] = copy.deepcopy(random.choice(containers))
            case "wrap":
                node[key] = [node[key]]
            case "deep":
                node[key] = DEEP
    text = json.dumps(tree).replace(f'"{DEEP}"', "[" * 10_000 + "]" * 10_000)
    if random.random() < 0.05:
        text = text.replace("{", '{"name": 1, "name": 2, ', 1)
    return text.encode()


def _containers(node: Any) -> Any:
    if isinstance(node, dict | list):
        yield node
        for child in node.values() if isinstance(node, dict) else node:
            yield from _containers(child)


@contextmanager
def bounded_memory() -> Iterator[None]:
    """Raise MemoryError if more than `MAX_BYTES` are taken within the context."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MAX_BYTES, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def assert_reads_or_refuses(read: Callable[[], Any]) -> None:
    """Assert that a file is read or refused in one harmless sentence.

    Any exception but ValueError fails, and so does one of another kind, such as UnicodeError, with its own message.
    """
    refusal = None
    try:
        with bounded_memory():
            read()
    except ValueError as error:
        refusal = error
    if refusal is not None:
        message = str(refusal)
        assert type(refusal) is ValueError
        assert message
        assert "\n" not in message
        assert len(message) < 1_000
        assert_harmless(message)
