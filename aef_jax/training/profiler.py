"""A trace of some training steps, for xprof or TensorBoard's profile plugin."""

from pathlib import Path

import jax


class Profile:
    """Records the steps of a range, while entered; without a range, nothing."""

    def __init__(self, folder: Path, steps: range | None, left: range):
        """Of the steps that are `left` to run; each of several processes has a folder of its own.

        Raises ValueError where the range is empty, begins before step 1 or has none of those.
        """
        if steps is not None and (not steps or steps[0] < 1):
            raise ValueError(f"profile: steps {steps.start}:{steps.stop} are none, expected as in 10:15")
        if steps is not None and max(steps.start, left.start) >= min(steps.stop, left.stop):
            run = f"this run goes from step {left.start} to {left.stop - 1}" if left else "this run is at its end"
            raise ValueError(f"profile: no step of {steps.start}:{steps.stop} will run: {run}")
        # processes of one node would give their files one name
        self.folder = folder / str(jax.process_index()) if jax.process_count() > 1 else folder
        self.steps, self.running = steps, False

    def __enter__(self) -> "Profile":
        return self

    def __exit__(self, *_) -> None:
        self._stop()

    def before(self, step: int) -> None:
        """Called before a step is dispatched."""
        if self.steps is not None and step in self.steps and not self.running:
            jax.profiler.start_trace(self.folder)
            self.running = True

    def after(self, step: int, result) -> None:
        """Called after it was; `result` is what it computes."""
        if self.steps is not None and step == self.steps[-1]:
            jax.block_until_ready(result)
            self._stop()

    def _stop(self) -> None:
        if self.running:
            jax.profiler.stop_trace()
            self.running = False


def parse_steps(text: str) -> range:
    """`10:15` as the steps 10 to 14. Raises ValueError where it is none."""
    first, colon, last = text.partition(":")
    if not (colon and first.isdecimal() and last.isdecimal()):
        raise ValueError(f"--profile-steps {text!r} is no range of steps, expected as in 10:15")
    return range(int(first), int(last))
