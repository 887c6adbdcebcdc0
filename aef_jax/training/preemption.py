"""Ctrl-C and SIGTERM as a wish to stop after the step in hand, whichever host they reach."""

import os
import signal
from types import FrameType

import jax
from jax.experimental.multihost_utils import reached_preemption_sync_point


class PreemptionGuard:
    """While entered, the first signal asks to stop; a second Ctrl-C interrupts at once, as usual.

    Of several hosts, SIGTERM goes to JAX's own service, which tells all of them and names the step after which they
    stop together: one that stopped alone would leave the others waiting.
    """

    def __init__(self):
        self.made = False
        self.alone = jax.process_count() == 1

    def __enter__(self) -> "PreemptionGuard":
        taken = (signal.SIGINT, signal.SIGTERM) if self.alone else (signal.SIGINT,)
        self._before = {number: signal.signal(number, self._receive) for number in taken}
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def should_stop(self, step: int) -> bool:
        """Whether to stop after `step`, all hosts alike; to be asked after every step."""
        return self.made if self.alone else reached_preemption_sync_point(step)

    def _receive(self, number: int, _: FrameType | None) -> None:
        self.made = True
        signal.signal(number, self._before[signal.Signals(number)])
        if not self.alone:
            os.kill(os.getpid(), signal.SIGTERM)
