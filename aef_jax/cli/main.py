"""The command `aef`."""

import argparse
import logging
import sys
from dataclasses import replace
from pathlib import Path

from aef_jax.cli.aot import add_pod_commands
from aef_jax.cli.data import add_data_commands
from configs.config import Config
from configs.presets import PRESETS
from configs.serialization.config_json import from_json, nearest, to_json
from configs.serialization.overrides import override

EXAMPLES = """examples:
  aef train tiny                                      train on the sample cube, into runs/tiny
  aef train tiny --training.steps 200 --run runs/b    any setting by its dotted name; aef config tiny lists them
  aef train runs/tiny                                 go on with a run that was stopped
  aef train tiny --data planet                        train on a data set; aef data --help makes one
  aef probe runs/tiny                                 what a linear probe reads from the embeddings of labelled sites
  aef embed runs/tiny --start 2018-01-01 --end 2019-01-01 -o field.tif
"""


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code: 0, or 2 for a user's mistake, told in one sentence."""
    arguments = sys.argv[1:] if arguments is None else arguments
    words, settings = _split(arguments)
    logging.getLogger("absl").setLevel(logging.ERROR)  # what Orbax warns of is no concern of the command's user
    options, rest = _parser().parse_known_args(words)
    settings += rest
    try:
        for argument in arguments:
            check_local(argument)
        if settings and not options.takes_settings:
            raise ValueError(f"there is no option {settings[0]!r}; aef {options.command} --help lists them")
        return options.function(options, settings)
    except (ValueError, FloatingPointError, ModuleNotFoundError, OSError) as error:
        print(f"aef: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("aef: interrupted", file=sys.stderr)
        return 130


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """The command's own words; and the settings, `--sources` and options with a dot in their name, each with its value.

    argparse, which does not know them, would take the value of one that comes early for the preset's name.
    """
    words, settings, rest = [], [], list(arguments)
    while rest:
        word = rest.pop(0)
        name, equals, _ = word.partition("=")
        is_setting = name == "--sources" or (name.startswith("--") and "." in name)
        (settings if is_setting else words).append(word)
        if is_setting and not equals and rest:
            settings.append(rest.pop(0))
    return words, settings


def _parser() -> argparse.ArgumentParser:
    parser = _documented(argparse.ArgumentParser, EXAMPLES, prog="aef", description="AlphaEarth Foundations in JAX.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    train = _documented(
        commands.add_parser, EXAMPLES, name="train", help="train a preset, a config file, or go on with a run"
    )
    train.add_argument("what", metavar="PRESET|CONFIG.json|RUN", help=f"one of {', '.join(PRESETS)}; a file; or a run")
    train.add_argument("--run", type=_path, help="the run's folder (default: runs/PRESET)")
    train.add_argument("--data", type=_path, help="folder of a data set (default: the sample); aef data --help")
    train.add_argument("--profile-steps", metavar="A:B", help="write a trace of steps A to B - 1 for xprof")
    train.add_argument("--distributed", action="store_true", help="one of several hosts: TPU pod, SLURM, MPI, GKE")
    train.add_argument("--coordinator", metavar="HOST:PORT", help="where none of these is: the first process's address")
    train.add_argument("--processes", type=int, help="and how many processes there are")
    train.add_argument("--process", type=int, help="and which of them this is, from 0")
    train.set_defaults(function=_train, takes_settings=True)

    embed = _documented(commands.add_parser, EXAMPLES, name="embed", help="write the embedding field of a valid period")
    embed.add_argument("run", type=Path, metavar="RUN", help="the folder of a run")
    embed.add_argument("--start", required=True, help="the valid period's start, ISO 8601, UTC")
    embed.add_argument("--end", required=True, help="the valid period's end, not itself inside")
    embed.add_argument("--support-start", help="first date of the frames used (default: a year around the period)")
    embed.add_argument("--support-end", help="end of the frames used")
    embed.add_argument("--data", type=_path, help="where the run's data set lies now (default: where it lay)")
    embed.add_argument("--site", help="which site of a data set, by its name (default: the first held-out one)")
    embed.add_argument("--checkpoint", choices=("latest", "best"), default="latest", help="best: by held-out loss")
    embed.add_argument("--dtype", choices=("int8", "float32"), default="int8", help="int8: quantised as the release is")
    embed.add_argument("-o", "--output", type=Path, required=True, metavar="FIELD.tif", help="a PNG is put beside it")
    embed.set_defaults(function=_embed, takes_settings=False)

    probe = _documented(
        commands.add_parser, EXAMPLES, name="probe", help="read labels from embeddings by a linear probe"
    )
    probe.add_argument("run", type=Path, metavar="RUN", help="the folder of a run that was trained on a data set")
    probe.add_argument("--data", type=_path, help="where the run's data set lies now (default: where it lay)")
    probe.add_argument("--sites", type=int, default=64, help="held-out sites that are used, at most (default: 64)")
    probe.add_argument("--seeds", type=int, default=5, help="divisions of the sites into seen and asked (default: 5)")
    probe.add_argument("--checkpoint", choices=("latest", "best"), default="latest", help="best: by held-out loss")
    probe.set_defaults(function=_probe, takes_settings=False)

    config = _documented(commands.add_parser, EXAMPLES, name="config", help="print the resolved config as JSON")
    config.add_argument("what", metavar="PRESET|CONFIG.json|RUN")
    config.set_defaults(function=_config, takes_settings=True)

    add_pod_commands(commands, _documented)
    add_data_commands(commands, _documented)
    return parser


def _documented(make, examples: str, **options) -> argparse.ArgumentParser:
    return make(epilog=examples, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **options)


def _train(options: argparse.Namespace, settings: list[str]) -> int:
    from aef_jax.data.loading.training_data import open_data
    from aef_jax.run.folder import RunFolder
    from aef_jax.sharding.distributed import check_alone, join, print_topology
    from aef_jax.sharding.host_memory import keep_memory
    from aef_jax.training.loop import train
    from aef_jax.training.profiler import parse_steps

    profiled = parse_steps(options.profile_steps) if options.profile_steps else None
    config, default = resolve(options.what, settings)
    config = with_data(config, options.data)
    folder = RunFolder(options.run or default)
    folder.check(config)
    explicit = options.coordinator, options.processes, options.process
    if options.distributed or any(value is not None for value in explicit):
        join(*explicit)
        print_topology()
    else:
        check_alone()
        keep_memory()
    data = open_data(config, folder.read_normalization() if folder.started else None)
    done = train(config, folder, data, profiled)
    if done < config.training.steps:
        print(f"stopped after {done} of {config.training.steps} steps, all saved; go on with: aef train {folder.path}")
    else:
        print(f"trained {done} steps; pictures, metrics and the checkpoint are in {folder.path}")
    return 0


def _embed(options: argparse.Namespace, _: list[str]) -> int:
    from aef_jax.data.store.site import to_ms
    from aef_jax.inference.embed import embed_run
    from aef_jax.run.folder import RunFolder

    period = to_ms(options.start), to_ms(options.end)
    if (options.support_start is None) != (options.support_end is None):
        raise ValueError("one end of the support period is missing: give --support-start and --support-end, or neither")
    support = (to_ms(options.support_start), to_ms(options.support_end)) if options.support_start else None
    picture = embed_run(
        RunFolder(options.run),
        period,
        support,
        options.output,
        options.dtype,
        data=options.data,
        site_name=options.site,
        which=options.checkpoint,
    )
    print(f"wrote {options.output} and {picture}")
    return 0


def _probe(options: argparse.Namespace, _: list[str]) -> int:
    from aef_jax.evaluation.probe_report import probe_run, table
    from aef_jax.run.folder import RunFolder

    if options.sites < 2 or options.seeds < 1:
        raise ValueError(f"--sites is {options.sites} and --seeds {options.seeds}, expected at least 2 and at least 1")
    print(table(probe_run(RunFolder(options.run), options.sites, options.seeds, options.checkpoint, options.data)))
    return 0


def _config(options: argparse.Namespace, settings: list[str]) -> int:
    print(to_json(resolve(options.what, settings)[0]), end="")
    return 0


def _path(name: str) -> Path | None:
    """Of an option; an empty one, as of a variable that is not set, is none."""
    return Path(name) if name else None


def check_local(name: str) -> None:
    """Raises ValueError for an address, as of a bucket, which Path would take for a local name."""
    if "://" in name:
        raise ValueError(f"{name!r} is an address, expected a file or folder: mount it first (gcsfuse, Filestore)")


def with_data(config: Config, folder: Path | None) -> Config:
    """The config with a data set's folder, or its own one, as it is found from anywhere."""
    path = str(folder or config.data.path)
    check_local(path)
    return replace(config, data=replace(config.data, path=str(Path(path).absolute()))) if path else config


def resolve(what: str, settings: list[str]) -> tuple[Config, Path]:
    """The config that was asked for, settings applied, and the folder that its run has by default."""
    from aef_jax.run.folder import RunFolder

    path = Path(what)
    if what in PRESETS:
        return override(PRESETS[what], settings), Path("runs") / what
    if path.is_dir():
        return override(RunFolder(path).read_config(), settings), path
    if path.is_file():
        try:
            config = from_json(path.read_text())
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        return override(config, settings), Path("runs") / path.stem
    raise ValueError(f"{what!r} is no preset, config file or run's folder; {nearest(what, list(PRESETS))}")


if __name__ == "__main__":
    sys.exit(main())
