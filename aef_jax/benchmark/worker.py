"""Time one implementation on request, in a process of its own, so that several can be timed in turn.

The process writes a line of JSON when it is ready, and another one for each line that it reads, after timing the task.
If the task cannot be done, the first line gives the reason and the process ends.
"""

import importlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from aef_jax.benchmark import process_memory
from configs.serialization.config_json import from_json
from configs.serialization.printable import print_lines

REFUSED = "refused"

NUM_TIMED = 3
"""Number of runs that are timed together. They follow one another as the steps of training do."""


@dataclass(frozen=True)
class Task:
    """The work to time."""

    module: str
    """A module with three functions. `prepare(config, task)` returns a function that runs once and waits for the
    result, or raises ValueError; `peak_bytes()` returns an accelerator's peak, or 0; `device()` names the devices."""
    mode: str
    """How the module runs it: eager or compiled."""
    kind: str
    """`training` for a whole step, or `forward` for the embedding field of one period."""
    config: str
    """JSON of the config. The inputs are its batch of tiles with full frame budgets; absent frames cost as much."""


@dataclass(frozen=True)
class Ready:
    """The answer after the first run, which compiles everything."""

    first_seconds: float
    device: str


@dataclass(frozen=True)
class Timed:
    """The answer after each timing."""

    seconds: float
    """Time of one run, the mean of `NUM_TIMED`."""
    peak_bytes: int
    """Peak of the accelerator's memory since the process began. Without an accelerator, peak of the process's memory,
    not counting what compiling took."""


def main() -> None:
    """Answer requests until the input ends."""
    task = Task(**json.loads(sys.argv[1]))
    module = importlib.import_module(task.module)
    started_at = time.perf_counter()
    try:
        run: Callable[[], None] = module.prepare(from_json(task.config), task)
    except ValueError as error:
        return _send({REFUSED: str(error)})
    run()
    _send(asdict(Ready(time.perf_counter() - started_at, module.device())))
    process_memory.release_memory()  # compiling takes gigabytes, and other workers are alive
    for _ in sys.stdin:
        run()  # warm up: while others were timed, caches were overwritten and the device's clock may have slowed
        started_at = time.perf_counter()
        for _ in range(NUM_TIMED):
            run()
        seconds = (time.perf_counter() - started_at) / NUM_TIMED
        _send(asdict(Timed(seconds, module.peak_bytes() or process_memory.peak_bytes())))
        process_memory.release_memory()


def _send(answer: dict) -> None:
    print_lines(json.dumps(answer))


if __name__ == "__main__":
    main()
