"""Turn Ctrl-C and SIGTERM, on whichever host, into a request to stop after the current step."""

import os
import signal
from types import FrameType

import jax
from jax.experimental.multihost_utils import reached_preemption_sync_point


class PreemptionGuard:
    """Handles signals while it is entered: the first one requests a stop, a second Ctrl-C interrupts at once as usual.

    A second SIGTERM changes nothing, since launchers repeat it while the state is being saved.

    With several hosts, SIGTERM goes to JAX's own service, which notifies all hosts and names the step after which they
    stop together. A host that stopped alone would leave the others waiting.
    """

    def __init__(self):
        self.requested = False
        self.is_single_process = jax.process_count() == 1

    def __enter__(self) -> "PreemptionGuard":
        handled = (signal.SIGINT, signal.SIGTERM) if self.is_single_process else (signal.SIGINT,)
        self._before = {number: signal.signal(number, self._receive) for number in handled}
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def should_stop(self, step: int) -> bool:
        """Return whether to stop after a step, with the same answer on all hosts. Call it after every step.

        Args:
            step: number of steps done.

        Returns:
            True if a signal requested it.
        """
        return self.requested if self.is_single_process else reached_preemption_sync_point(step)

    def _receive(self, number: int, _: FrameType | None) -> None:
        self.requested = True
        if number == signal.SIGINT:
            signal.signal(number, self._before[signal.SIGINT])
        if not self.is_single_process:
            os.kill(os.getpid(), signal.SIGTERM)
