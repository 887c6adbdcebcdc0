"""Faults put into functions for a while, as edits of their source: to see whether a comparison catches them."""

import inspect
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from parity.capture.resolve import resolve


@dataclass(frozen=True)
class Mutation:
    """One realistic fault."""

    name: str
    target: str
    """The function or method: `package.module.name` or `package.module.Class.name`."""
    old: str
    """What its source has exactly once."""
    new: str
    culprit: str
    """What a bisection must name: the class of the module, the label of the function, or `objective` or `optimizer`."""
    equivalent: str = ""
    """Why it changes no number, where it does not."""


@contextmanager
def apply_mutation(mutation: Mutation) -> Iterator[None]:
    """Within, the function runs with the fault, wherever it was imported to.

    Raises ValueError where there is no such function, or its source has not what is to be replaced exactly once.
    """
    function = _function(mutation.target)
    source = textwrap.dedent(inspect.getsource(function))
    if source.count(mutation.old) != 1:
        count = source.count(mutation.old)
        raise ValueError(
            f"mutation {mutation.name}: {mutation.target} has {mutation.old!r} {count} times, expected once"
        )
    original = function.__code__
    function.__code__ = _code(source.replace(mutation.old, mutation.new), function)
    try:
        yield
    finally:
        function.__code__ = original


def _function(target: str) -> FunctionType:
    owner, _, name = target.rpartition(".")
    target_function: Any = resolve(target) if owner.islower() else getattr(resolve(owner), name)
    function = inspect.unwrap(target_function)
    if not isinstance(function, FunctionType):
        raise ValueError(f"{target} is no function")
    return function


def _code(source: str, function: FunctionType) -> Any:
    """The code of the source, with the free variables that the function has, such as the class that `super()` needs."""
    free = function.__code__.co_freevars
    wrapped = f"def outer({', '.join(free)}):\n{textwrap.indent(source, '    ')}\n    return {function.__name__}"
    scope: dict[str, Any] = {}
    exec(compile(wrapped, f"<mutation of {function.__qualname__}>", "exec"), dict(function.__globals__), scope)
    make: Callable[..., FunctionType] = scope["outer"]
    return make(*(None for _ in free)).__code__
