"""The command: `python -m aef_jax.benchmark small --side 32 --frames 16 --batch 2`.

Each implementation has a process of its own; these are timed in turn, round by round, so that what disturbs the machine
disturbs all of them. Ratios are medians over the rounds.
"""

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median

from tqdm import tqdm

from aef_jax.benchmark.worker import Ready, Task, Timed
from aef_jax.cli import resolve
from configs.io import to_json
from configs.run import Config

IMPLEMENTATIONS = {
    "JAX": ("aef_jax.benchmark.jax_runs", "compiled"),
    "PyTorch, torch.compile": ("aef_torch.benchmark", "compiled"),
    "PyTorch, eager": ("aef_torch.benchmark", "eager"),
}
KINDS = ("forward", "training")


@dataclass
class Measured:
    """Of one implementation, for one kind of work."""

    ready: Ready
    rounds: list[Timed] = field(default_factory=list)

    @property
    def seconds(self) -> list[float]:
        return [timed.seconds for timed in self.rounds]


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", metavar="PRESET|CONFIG.json|RUN")
    parser.add_argument("--side", type=int, help="pixels of a tile (default: the config's)")
    parser.add_argument("--frames", type=int, help="of all sources, about (default: the config's budgets)")
    parser.add_argument("--batch", type=int, default=2, help="sequences at once (default: 2)")
    parser.add_argument("--rounds", type=int, default=5, help="in which each is timed once (default: 5)")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    return parser


def main() -> None:
    """Prints a table for forward and for training."""
    options, settings = parser().parse_known_args()
    try:
        config = benchmarked(resolve(options.what, settings)[0], options.side, options.frames, options.batch)
    except (ValueError, OSError) as error:
        parser().error(str(error))
    frames = {source.name: source.frame_budget for source in config.input_sources}
    print(
        f"{options.what}: {options.batch} sequences of {frames},"
        f" tiles of {config.data.tile_side} pixels, {config.model.compute_dtype}"
    )
    for kind in options.kinds:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "config.json"
            path.write_text(to_json(config))
            measured = measure(kind, str(path), options.rounds)
        print(table(kind, measured, options.batch * sum(frames.values())), flush=True)


def benchmarked(config: Config, side: int | None, frames: int | None, batch: int) -> Config:
    """The config with tiles of `side` pixels, budgets of `frames` of all sources in the same shares, and this batch."""
    share = 1 if frames is None else frames / sum(source.frame_budget for source in config.input_sources)
    return replace(
        config,
        sources=tuple(
            replace(source, frame_budget=max(1, round(share * source.frame_budget))) if source.is_input else source
            for source in config.sources
        ),
        data=replace(config.data, tile_side=side or config.data.tile_side),
        training=replace(config.training, batch=batch, accumulate=1),
    )


def measure(kind: str, config: str, rounds: int) -> dict[str, Measured]:
    """By implementation; PyTorch's are left out where it is not installed."""
    chosen = {
        name: Task(module, mode, kind, config)
        for name, (module, mode) in IMPLEMENTATIONS.items()
        if "torch" not in module or importlib.util.find_spec("torch")
    }
    with ExitStack() as stack:
        workers, measured = {}, {}
        for name, task in tqdm(chosen.items(), desc=f"{kind}: compiling", leave=False):
            workers[name] = stack.enter_context(worker(task))
            measured[name] = Measured(Ready(**_heard(workers[name])))
        for _ in tqdm(range(rounds), desc=f"{kind}: rounds", leave=False):
            for name, process in workers.items():
                process.stdin.write("1\n")
                process.stdin.flush()
                measured[name].rounds.append(Timed(**_heard(process)))
    return measured


@contextmanager
def worker(task: Task) -> Iterator[subprocess.Popen]:
    """The process of one implementation, until it is no longer needed."""
    command = [sys.executable, "-m", "aef_jax.benchmark.worker", json.dumps(asdict(task))]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _heard(process: subprocess.Popen) -> dict:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("{"):  # libraries print, too
            return json.loads(line)
    raise SystemExit(f"aef_jax.benchmark: a process ended with code {process.wait()} before it was done")


def table(kind: str, measured: Mapping[str, Measured], frames: int) -> str:
    """Each implementation's speed, and how many times as fast as it JAX is."""
    ours = measured["JAX"].seconds
    lines = [f"\n{kind:24s}{'frames/s':>10s}{'s':>9s}{'first s':>9s}{'peak GB':>9s}{'JAX is':>9s}  device"]
    for name, of in measured.items():
        faster = median(other / one for other, one in zip(of.seconds, ours, strict=True))
        seconds, peak = median(of.seconds), max(timed.peak_bytes for timed in of.rounds) / 1e9
        lines.append(
            f"{name:24s}{frames / seconds:10.1f}{seconds:9.3f}{of.ready.first_seconds:9.1f}{peak:9.2f}"
            f"{faster:8.2f}x  {of.ready.device}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
