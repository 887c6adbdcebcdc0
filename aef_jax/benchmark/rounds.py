"""Time tasks in turn, each in its own process, so that whatever disturbs the machine disturbs all of them."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from statistics import median

from tqdm import tqdm

from aef_jax.benchmark.worker import REFUSED, Ready, Task, Timed


@dataclass
class Measurement:
    """The times of one task."""

    ready: Ready
    rounds: list[Timed] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Median over the rounds."""
        return median(timed.seconds for timed in self.rounds)

    @property
    def peak_bytes(self) -> int:
        """Largest peak of all rounds."""
        return max(timed.peak_bytes for timed in self.rounds)

    def ratio_to(self, other: "Measurement") -> float:
        """Return the ratio of this task's time to another task's.

        Args:
            other: a measurement with as many rounds.

        Returns:
            The median of the rounds' ratios.
        """
        return median(timed.seconds / base.seconds for timed, base in zip(self.rounds, other.rounds, strict=True))


def time_in_turn(tasks: Mapping[str, Task], rounds: int, label: str) -> dict[str, Measurement]:
    """Time each task once in each round, after all tasks are ready.

    Each round begins with the next task, so that no task is always timed first.

    Args:
        tasks: by name.
        rounds: number of rounds.
        label: text beside the progress bars.

    Returns:
        Measurements by name.

    Raises:
        ValueError: if one of the tasks cannot be done.
    """
    with ExitStack() as stack:
        workers, measured = {}, {}
        for name, task in tqdm(tasks.items(), desc=f"{label}: compiling", leave=False):
            workers[name] = stack.enter_context(_worker(task))
            measured[name] = Measurement(Ready(**_receive(workers[name])))
        names = list(workers)
        for turn in tqdm(range(rounds), desc=f"{label}: rounds", leave=False):
            first = turn % len(names)
            for name in names[first:] + names[:first]:
                workers[name].stdin.write("\n")
                workers[name].stdin.flush()
                measured[name].rounds.append(Timed(**_receive(workers[name])))
    return measured


@contextmanager
def _worker(task: Task) -> Iterator[subprocess.Popen]:
    """Start the process of one task and end it on exit."""
    command = [sys.executable, "-m", "aef_jax.benchmark.worker", json.dumps(asdict(task))]
    # all processes are alive at once, and by default JAX takes three quarters of an accelerator's memory for each
    environment = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", **os.environ}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _receive(process: subprocess.Popen) -> dict:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("{"):  # libraries print too
            answer = json.loads(line)
            if REFUSED in answer:
                raise ValueError(answer[REFUSED])
            return answer
    raise SystemExit(f"aef_jax.benchmark: a worker process ended early with exit code {process.wait()}")
