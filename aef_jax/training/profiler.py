"""Record a trace of some training steps for xprof or TensorBoard's profile plugin."""

from pathlib import Path

import jax


class Profile:
    """Records the steps of a range while it is entered. Without a range it does nothing.

    Args:
        folder: for the trace; each of several processes writes into its own folder below it.
        steps: to record, counted from 1.
        left: steps that the run will do.

    Raises:
        ValueError: if the range is empty, begins before step 1 or contains none of the steps that are left.
    """

    def __init__(self, folder: Path, steps: range | None, left: range):
        if steps is not None and (not steps or steps[0] < 1):
            raise ValueError(f"profile: {steps.start}:{steps.stop} contains no steps, expected a range such as 10:15")
        if steps is not None and max(steps.start, left.start) >= min(steps.stop, left.stop):
            run = f"this run goes from step {left.start} to {left.stop - 1}" if left else "this run is finished"
            raise ValueError(f"profile: no step of {steps.start}:{steps.stop} will run: {run}")
        # processes of one node would write files of the same name
        self.folder = folder / str(jax.process_index()) if jax.process_count() > 1 else folder
        self.steps, self.running = steps, False

    def __enter__(self) -> "Profile":
        return self

    def __exit__(self, *_) -> None:
        self._stop()

    def before(self, step: int) -> None:
        """Start the trace at the first step of the range. Call it before dispatching each step.

        Args:
            step: number of the step, from 1.
        """
        if self.steps is not None and step in self.steps and not self.running:
            jax.profiler.start_trace(self.folder)
            self.running = True

    def after(self, step: int, result) -> None:
        """Stop the trace at the last step of the range. Call it after dispatching each step.

        Args:
            step: number of the step, from 1.
            result: of the step; it is waited for.
        """
        if self.steps is not None and step == self.steps[-1]:
            jax.block_until_ready(result)
            self._stop()

    def _stop(self) -> None:
        if self.running:
            jax.profiler.stop_trace()
            self.running = False


def parse_steps(text: str) -> range:
    """Parse a range of steps.

    Args:
        text: such as `10:15` for the steps 10 to 14.

    Returns:
        The steps.

    Raises:
        ValueError: if the text is not of this form.
    """
    first, colon, last = text.partition(":")
    if not (colon and first.isdecimal() and last.isdecimal()):
        raise ValueError(f"--profile-steps {text!r} is not a range of steps, expected one such as 10:15")
    return range(int(first), int(last))
