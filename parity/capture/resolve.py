"""Functions by where they are looked up, `package.module.name`, and others in their place for a while."""

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch


def resolve(name: str) -> Callable[..., Any]:
    """The function that is there now. Raises ValueError where there is none."""
    module, _, attribute = name.rpartition(".")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError):
        raise ValueError(f"{name} is no function of a module, expected `package.module.name`") from None


@contextmanager
def patch_functions(
    names: Mapping[str, str], wrap: Callable[[str, Callable[..., Any]], Callable[..., Any]]
) -> Iterator[None]:
    """For each label, puts `wrap(label, function)` where the function is looked up."""
    with ExitStack() as stack:
        for label, name in names.items():
            stack.enter_context(patch(name, wrap(label, resolve(name))))
        yield
