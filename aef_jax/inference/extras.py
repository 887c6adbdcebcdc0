"""Optional dependencies of what reads, writes and shows fields."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal


@contextmanager
def needs_extra(what: str, extra: Literal["geo", "fields", "serve"]) -> Iterator[None]:
    """Tell how to install what is imported in the context, if it is missing.

    Args:
        what: it is needed for, in the plural.
        extra: the optional extra of this package that holds it.

    Yields:
        Nothing.

    Raises:
        ModuleNotFoundError: a package is missing.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "a package").partition(".")[0]
        raise ModuleNotFoundError(f"{what} need {package}: pip install 'aef[{extra}]'") from None
