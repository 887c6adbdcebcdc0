"""Put faults into functions temporarily, by editing their source, to test whether a comparison catches them."""

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
    """Text that occurs exactly once in its source."""
    new: str
    """The text that replaces it."""
    culprit: str
    """What a bisection must name: the class of the module, the label of the function, `objective` or `optimizer`."""
    equivalent: str = ""
    """Why it changes no number; empty if it does."""


@contextmanager
def apply_mutation(mutation: Mutation) -> Iterator[None]:
    """Run the function with the fault, wherever it is imported.

    Args:
        mutation: The fault.

    Yields:
        Nothing.

    Raises:
        ValueError: If there is no such function, or its source does not have the text exactly once.
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
        raise ValueError(f"{target} is not a function")
    return function


def _code(source: str, function: FunctionType) -> Any:
    """Compile the source with the function's free variables, such as the class that `super()` needs."""
    free = function.__code__.co_freevars
    wrapped = f"def outer({', '.join(free)}):\n{textwrap.indent(source, '    ')}\n    return {function.__name__}"
    scope: dict[str, Any] = {}
    exec(compile(wrapped, f"<mutation of {function.__qualname__}>", "exec"), dict(function.__globals__), scope)
    make: Callable[..., FunctionType] = scope["outer"]
    return make(*(None for _ in free)).__code__
