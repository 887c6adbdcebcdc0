"""`aef evaluate`: evaluate features at labeled points."""

import argparse
from pathlib import Path
from typing import Any

from aef_jax.cli.arguments import add_checkpoint_option, add_command, path_or_none
from configs.serialization.printable import print_lines

CLI_EXAMPLES = """
aef evaluate planet --features runs/planet --features composite --features coordinates
aef evaluate crops.geojson --column crop --features field.tif --features public=layer.tif@2021 -o report
aef evaluate points.npz --features points.npz:embedding:0 --blocks 5000 --buffer 1000
aef evaluate biomass.csv --column tons --task regression --features field.tif --trials 10,max
aef evaluate change.csv --task change --features 2019.tif,2021.tif
"""
FEATURES = """
features, each [NAME=]WHAT[@YEAR] or [NAME=]WHAT[@START..END]:
  RUN                            embeddings of a run, computed from --data or from its own data set
  FIELD.tif                      an embedding field, ours or a public layer
  FILE.npy, FILE.npz:ARRAY[:SLOT], FILE.csv[:PREFIX], FILE.parquet[:PREFIX]
                                 a row for each row of the labels; columns are PREFIX (A) and a number
  composite, median, harmonics, monthly, random_convolutions
                                 of the imagery in --data, or in LABELS if that is a data set
  coordinates                    x, y and z on the unit sphere
for --task change, two of them with a comma between: BEFORE,AFTER
"""
RECORDS = {"validation": ("validation",), "training": ("training",), "all": ("validation", "training")}


def add_evaluate_command(commands: Any) -> None:
    """Add `evaluate`.

    Args:
        commands: what `add_subparsers` returned.
    """
    summary = "evaluate embeddings or any features at labeled points"
    parser = add_command(commands, "evaluate", summary, CLI_EXAMPLES, _evaluate, epilog=FEATURES.strip())
    parser.set_defaults(addressable=("features",))
    parser.add_argument(
        "labels",
        type=Path,
        metavar="LABELS",
        help="points or polygons (.csv, .geojson, .parquet, .npz), a map (.tif), or a data set with label maps",
    )
    parser.add_argument("--features", action="append", required=True, metavar="WHAT", help="see below; repeatable")
    parser.add_argument("--column", default="", help="column, array or label map to predict (default: label)")
    parser.add_argument("--task", choices=("classification", "regression", "change"), default="classification")
    parser.add_argument("--ignore", action="append", default=[], metavar="CLASS", help="no label; repeatable")
    parser.add_argument(
        "--trials", default="1,10,max", help="training samples of each class: numbers, max or all (default: 1,10,max)"
    )
    parser.add_argument("--parts", type=int, default=2, help="parts of the samples, each the test set once (2)")
    parser.add_argument("--blocks", type=float, default=0, metavar="METERS", help="keep blocks of ground in one part")
    parser.add_argument(
        "--buffer", type=float, default=0, metavar="METERS", help="leave out training samples this near to test samples"
    )
    parser.add_argument("--seed", type=int, default=0, help="of parts, draws and bootstrap (0)")
    parser.add_argument("--max-folds", type=int, default=1000, help="draws of training samples, at most (1000)")
    parser.add_argument("--max-samples", type=int, default=20_000, help="labeled points to use, at most (20000)")
    parser.add_argument(
        "--data", type=path_or_none, metavar="DIR", help="data set with the frames of runs and composites"
    )
    parser.add_argument("--records", choices=RECORDS, default="validation", help="which of its records (validation)")
    add_checkpoint_option(parser)
    parser.add_argument("-o", "--output", type=path_or_none, metavar="DIR", help="write CSV, JSON and an HTML report")


def _evaluate(options: argparse.Namespace, _: list[str]) -> int:
    from aef_jax.evaluation.command import Protocol, evaluate_features
    from aef_jax.evaluation.features.sample_features import Imagery
    from aef_jax.evaluation.labels.labeled_points import sample_points
    from aef_jax.evaluation.labels.read_labels import read_labels
    from aef_jax.evaluation.report.summary import text_table
    from aef_jax.evaluation.report.write import describe, require_folder, write_report
    from aef_jax.evaluation.trials import parse_trials

    _validate(options)
    trials = parse_trials(options.trials)
    protocol = Protocol(
        options.task, trials, options.parts, options.blocks, options.buffer, options.seed, options.max_folds
    )
    if options.output:
        require_folder(options.output)
    splits, labels = RECORDS[options.records], options.labels
    points = read_labels(labels, options.column, options.task, options.ignore, splits)
    points = sample_points(points, options.max_samples, options.seed)
    imagery = Imagery(options.data or (labels if labels.is_dir() else None), splits, options.checkpoint)
    report = evaluate_features(points, options.features, imagery, protocol)
    print_lines("\n".join([*describe(report), text_table(report)]))
    if options.output:
        write_report(report, options.output)
        print_lines(f"wrote {options.output / 'report.html'}, with CSV and JSON beside it")
    return 0


def _validate(options: argparse.Namespace) -> None:
    smallest = {"parts": 2, "max_folds": 1, "max_samples": 2, "seed": 0, "blocks": 0, "buffer": 0}
    for name, minimum in smallest.items():
        value = getattr(options, name)
        if not minimum <= value < 2**32:
            raise ValueError(f"--{name.replace('_', '-')} is {value:g}, expected at least {minimum}")
