"""Find functions by the name under which they are looked up, and replace them temporarily."""

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch


def resolve(name: str) -> Callable[..., Any]:
    """Find a function.

    Args:
        name: Where it is looked up, `package.module.name`.

    Returns:
        The function that is there now.

    Raises:
        ValueError: If there is none.
    """
    module, _, attribute = name.rpartition(".")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError):
        raise ValueError(f"{name} is not a function of a module, expected `package.module.name`") from None


@contextmanager
def patch_functions(
    names: Mapping[str, str], wrap: Callable[[str, Callable[..., Any]], Callable[..., Any]]
) -> Iterator[None]:
    """Replace functions temporarily by wrapped ones.

    Args:
        names: Where each function is looked up, by label.
        wrap: Returns the replacement of a function, given its label and the function.

    Yields:
        Nothing.
    """
    with ExitStack() as stack:
        for label, name in names.items():
            stack.enter_context(patch(name, wrap(label, resolve(name))))
        yield
