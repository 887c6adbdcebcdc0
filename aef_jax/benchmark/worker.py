"""A process that times one implementation when it is told to, so that several can be timed in turn.

Each line that it reads asks for one run; it answers with a line of JSON, after a first one when it is ready. Where the
work cannot be done, the first line says why, and is the last.
"""

import importlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from aef_jax.benchmark import process_memory
from configs.serialization.config_json import from_json

REFUSED = "refused"


RUNS = 3
"""One after the other, which are timed at a time: as in training, and what the first left is where the next begins."""


@dataclass(frozen=True)
class Task:
    """What is timed."""

    module: str
    """Has `prepare(config, task)`, which gives what runs once and waits, or raises ValueError where that cannot be;
    `peak_bytes()` of an accelerator, and `device()`."""
    mode: str
    """How it runs there: eager or compiled."""
    kind: str
    """`training`, a whole step, or `forward`: the field of one period."""
    config: str
    """As JSON: a step has its batch of tiles, with full budgets of frames; absent ones are as costly."""


@dataclass(frozen=True)
class Ready:
    """After the first run, in which all is compiled."""

    first_seconds: float
    device: str


@dataclass(frozen=True)
class Timed:
    seconds: float
    """Of one run, the mean of `RUNS`."""
    peak_bytes: int
    """Of the accelerator's memory since the beginning; where there is none, of the process, by then without what
    compiling took."""


def main() -> None:
    """Runs until its input ends."""
    task = Task(**json.loads(sys.argv[1]))
    module = importlib.import_module(task.module)
    begun = time.perf_counter()
    try:
        run: Callable[[], None] = module.prepare(from_json(task.config), task)
    except ValueError as error:
        return _say({REFUSED: str(error)})
    run()
    _say(asdict(Ready(time.perf_counter() - begun, module.device())))
    process_memory.give_back()  # a compiler takes gigabytes, and others are alive at the same time
    for _ in sys.stdin:
        run()  # while others were timed, its memory may have been taken from it, and the device's clock have slowed
        begun = time.perf_counter()
        for _ in range(RUNS):
            run()
        seconds = (time.perf_counter() - begun) / RUNS
        _say(asdict(Timed(seconds, module.peak_bytes() or process_memory.peak_bytes())))
        process_memory.give_back()


def _say(answer: dict) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
