"""`aef train`: train a model, or resume a run."""

import argparse
import gc
import sys
from pathlib import Path
from typing import Any

from aef_jax.cli.arguments import WHAT, add_command, path_or_none
from aef_jax.cli.resolve_config import resolve, with_data, with_labels
from configs.presets import PRESETS
from configs.serialization.printable import print_lines
from configs.serialization.settings_help import settings_help

CLI_EXAMPLES = """
aef train tiny                                      train on the sample cube, into runs/tiny
aef train tiny --training.steps 200 --run runs/b    change a setting
aef train tiny --sources sentinel2,landsat          use some of the sources only
aef train tiny --data planet                        train on a data set; aef data --help makes one
aef train tiny --data planet --evaluate crops.geojson
aef train my.json                                   train a config file; aef config tiny --sources prints one
aef train runs/tiny                                 resume a run that was stopped
aef train runs/tiny --training.steps 500            extend a run; aef_jax/README.md says what else may change
aef train tiny --init-from runs/a --run runs/b      begin with the weights of another run
aef train runs/tiny --checkpoint 1000               resume it from an older checkpoint
"""


def add_train_command(commands: Any) -> None:
    """Add `train`.

    Args:
        commands: what `add_subparsers` returned.
    """
    summary = "train a preset or a config file, or resume a run"
    parser = add_command(commands, "train", summary, CLI_EXAMPLES, _train, True, settings_help())
    parser.add_argument("what", metavar=WHAT, help=f"a preset ({', '.join(PRESETS)}), a config file, or a run's folder")
    parser.add_argument("--run", type=path_or_none, metavar="DIR", help="folder of the run (default: runs/PRESET)")
    parser.add_argument("--data", type=path_or_none, metavar="DIR", help="folder of a data set (default: the sample)")
    parser.add_argument(
        "--evaluate",
        type=path_or_none,
        metavar="LABELS",
        help="points or polygons with a property `label`: classify the embeddings of validation sites there",
    )
    parser.add_argument(
        "--checkpoint", type=int, metavar="STEP", help="resume from this checkpoint; later ones go to RUN/set_aside"
    )
    parser.add_argument(
        "--init-from", type=path_or_none, metavar="RUN", help="begin a new run with the weights of RUN, where they fit"
    )
    parser.add_argument("--profile-steps", metavar="A:B", help="write a trace of steps A to B - 1 for xprof")
    parser.add_argument("--distributed", action="store_true", help="one of several processes: TPU pod, SLURM, MPI, GKE")
    group = parser.add_argument_group("several processes without a cluster environment")
    group.add_argument("--coordinator", metavar="HOST:PORT", help="address of process 0")
    group.add_argument("--processes", type=int, metavar="N", help="number of processes")
    group.add_argument("--process", type=int, metavar="I", help="index of this process, from 0")
    parser.add_argument(
        "--join-timeout", type=int, default=300, metavar="S", help="seconds to wait for the other processes (300)"
    )


def _train(options: argparse.Namespace, settings: list[str]) -> int:
    from aef_jax.data.loading.training_data import open_data
    from aef_jax.run.folder import RunFolder
    from aef_jax.sharding.distributed import check_alone, join, leaving_if_it_fails, print_topology
    from aef_jax.sharding.host_memory import keep_memory
    from aef_jax.sharding.lost_process import watch_stderr
    from aef_jax.training.loop import train
    from aef_jax.training.profiler import parse_steps

    gc.set_threshold(100_000, 20, 50)  # tracing makes many objects that live on, and collections would walk them
    profiled = parse_steps(options.profile_steps) if options.profile_steps else None
    config, default = resolve(options.what, settings)
    config = with_labels(with_data(config, options.data), options.evaluate)
    folder = RunFolder(options.run or default)
    what = Path(options.what)
    if what.is_dir() and folder.path != what and not (folder.started or options.init_from):
        print_lines(
            f"aef: {folder.path} begins with fresh weights, and with the settings of {what};"
            f" --init-from {what} takes its weights",
            file=sys.stderr,
        )
    explicit = options.coordinator, options.processes, options.process
    if options.distributed or any(value is not None for value in explicit):
        watch_stderr(folder.path, _looked_for(options))
        join(*explicit, timeout_s=options.join_timeout)
        print_topology()
    else:
        check_alone()
        keep_memory()
    with leaving_if_it_fails():
        folder.require_same_run(config, schedule_may_change=folder.path == what)
        data = open_data(config, folder.read_normalization() if folder.started else None)
        steps = train(config, folder, data, profiled, options.checkpoint, options.init_from)
    if steps < config.training.steps:
        of_steps = f"{steps} of {config.training.steps} steps"
        print_lines(f"stopped after {of_steps}, all saved; resume with: aef train {folder.path}")
    else:
        print_lines(f"trained {steps} steps; pictures, metrics and the checkpoint are in {folder.path}")
    return 0


def _looked_for(options: argparse.Namespace) -> str:
    """Describe how this process looks for the others."""
    if options.coordinator is None:
        return f"by the cluster's environment, within {options.join_timeout} s"
    return (
        f"this one is process {options.process} of {options.processes} and looked for {options.coordinator}"
        f" for {options.join_timeout} s"
    )
