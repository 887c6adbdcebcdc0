"""Ctrl-C and SIGTERM as a wish to stop after the step in hand."""

import signal
from types import FrameType


class StopRequest:
    """While entered, the first signal sets `made`; a second Ctrl-C interrupts at once, as usual."""

    def __init__(self):
        self.made = False

    def __enter__(self) -> "StopRequest":
        self._before = {number: signal.signal(number, self._receive) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, _: FrameType | None) -> None:
        self.made = True
        signal.signal(number, self._before[number])
