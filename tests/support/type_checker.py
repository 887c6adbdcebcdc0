"""The type checker that tests put around every annotated function."""

import warnings
from collections.abc import Callable
from typing import Any

from beartype import BeartypeConf, beartype
from beartype.roar import BeartypeDecorHintPep585DeprecationWarning, BeartypeDecorHintPep673Exception

_checked = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an int is accepted for a float, as by static checkers


def typechecked(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function compare its arguments and its result with their annotations.

    A method annotated with `Self` is returned as it is: beartype knows `Self` only in classes that it decorates whole.
    """
    with warnings.catch_warnings():
        # Flax's types are old `typing` hints, of which beartype warns
        warnings.simplefilter("ignore", BeartypeDecorHintPep585DeprecationWarning)
        try:
            return _checked(function)
        except BeartypeDecorHintPep673Exception:
            return function
