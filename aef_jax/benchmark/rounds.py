"""Pieces of work, each in a process of its own, timed in turn: what disturbs the machine disturbs all of them."""

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
class Measured:
    """Of one piece of work."""

    ready: Ready
    rounds: list[Timed] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """The median over the rounds."""
        return median(timed.seconds for timed in self.rounds)

    @property
    def peak_bytes(self) -> int:
        return max(timed.peak_bytes for timed in self.rounds)

    def times(self, other: "Measured") -> float:
        """How many times as long as the other it took: the median over the rounds that both were in."""
        return median(one.seconds / its.seconds for one, its in zip(self.rounds, other.rounds, strict=True))


def in_turn(tasks: Mapping[str, Task], rounds: int, what: str) -> dict[str, Measured]:
    """Times each task once in each round, after all are ready; `what` is told beside the progress.

    Rounds begin with one task after the other: none is always timed after the same. Raises ValueError where the work of
    one cannot be done.
    """
    with ExitStack() as stack:
        workers, measured = {}, {}
        for name, task in tqdm(tasks.items(), desc=f"{what}: compiling", leave=False):
            workers[name] = stack.enter_context(_worker(task))
            measured[name] = Measured(Ready(**_heard(workers[name])))
        names = list(workers)
        for turn in tqdm(range(rounds), desc=f"{what}: rounds", leave=False):
            first = turn % len(names)
            for name in names[first:] + names[:first]:
                workers[name].stdin.write("\n")
                workers[name].stdin.flush()
                measured[name].rounds.append(Timed(**_heard(workers[name])))
    return measured


@contextmanager
def _worker(task: Task) -> Iterator[subprocess.Popen]:
    """The process of one task, until it is no longer needed."""
    command = [sys.executable, "-m", "aef_jax.benchmark.worker", json.dumps(asdict(task))]
    # all are alive at once, and JAX would take three quarters of an accelerator's memory for each
    environment = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", **os.environ}
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _heard(process: subprocess.Popen) -> dict:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("{"):  # libraries print, too
            answer = json.loads(line)
            if REFUSED in answer:
                raise ValueError(answer[REFUSED])
            return answer
    raise SystemExit(f"aef_jax.benchmark: a process ended with code {process.wait()} before it was done")
