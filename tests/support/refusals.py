"""A user's mistake is answered by one sentence."""

from collections.abc import Callable

import pytest


def told(call: Callable, *arguments, error: type[Exception] = ValueError, **options) -> str:
    """The message of the exception that a call raises, which must be one sentence."""
    with pytest.raises(error) as caught:
        call(*arguments, **options)
    message = str(caught.value)
    assert message
    assert "\n" not in message
    assert len(message) < 800
    return message
