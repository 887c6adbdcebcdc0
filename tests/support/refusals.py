"""Check that a user's mistake is answered by one sentence."""

from collections.abc import Callable

import pytest


def error_message(call: Callable, *arguments, error: type[Exception] = ValueError, **options) -> str:
    """Call a function that must raise, and return the exception's message, which must be one sentence."""
    with pytest.raises(error) as caught:
        call(*arguments, **options)
    message = str(caught.value)
    assert message
    assert "\n" not in message
    assert len(message) < 800
    return message
