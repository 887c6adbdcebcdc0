"""Ctrl-C and SIGTERM as a wish to stop after the step in hand."""

import signal
from types import FrameType

import jax
import numpy as np
from jax.experimental.multihost_utils import process_allgather

ASK_EVERY = 10
"""Steps between the questions whether another host was asked to stop; each waits for the step in hand."""


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

    def agreed(self, step: int) -> bool:
        """Whether to stop after `step`: all hosts alike, since the others would wait for one that stopped alone."""
        if jax.process_count() == 1:
            return self.made
        return step % ASK_EVERY == 0 and bool(np.any(process_allgather(np.asarray(self.made))))

    def _receive(self, number: int, _: FrameType | None) -> None:
        self.made = True
        signal.signal(number, self._before[signal.Signals(number)])
