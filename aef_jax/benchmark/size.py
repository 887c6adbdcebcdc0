"""Parse the options of the benchmarks' commands for the config and its size."""

import argparse
from dataclasses import replace

from aef_jax.cli.resolve_config import resolve
from configs.config import Config


def sized_parser(description: str | None) -> argparse.ArgumentParser:
    """Make a parser with the options that `parse_sized` reads. All other options are settings of the config.

    Args:
        description: of the command.

    Returns:
        The parser.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", metavar="PRESET|CONFIG.json|RUN")
    parser.add_argument("--side", type=int, help="pixels of a tile (default: the config's)")
    parser.add_argument(
        "--frames", type=int, help="frames of all sources, approximately (default: the config's budgets)"
    )
    parser.add_argument("--batch", type=int, default=2, help="sequences per step (default: 2)")
    parser.add_argument(
        "--rounds", type=int, default=5, help="number of rounds; each round times everything once (default: 5)"
    )
    return parser


def parse_sized(parser: argparse.ArgumentParser) -> tuple[argparse.Namespace, Config]:
    """Parse the command line. A mistake in it ends the process.

    Args:
        parser: made by `sized_parser`.

    Returns:
        The options, and the config of the size that they ask for.
    """
    options, settings = parser.parse_known_args()
    if options.rounds < 1:
        parser.error(f"--rounds is {options.rounds}, expected at least 1")
    try:
        return options, resize_config(resolve(options.what, settings)[0], options.side, options.frames, options.batch)
    except (ValueError, OSError) as error:
        parser.error(str(error))


def resize_config(config: Config, side: int | None, frames: int | None, batch: int) -> Config:
    """Change the size of a config's inputs.

    Args:
        config: to change.
        side: pixels of a tile's side; None leaves it unchanged.
        frames: sum of the frame budgets of all sources, which keep their shares; None leaves them unchanged.
        batch: sequences per step.

    Returns:
        The changed config, without gradient accumulation.
    """
    share = 1 if frames is None else frames / sum(source.frame_budget for source in config.input_sources)
    return replace(
        config,
        sources=tuple(
            replace(source, frame_budget=max(1, round(share * source.frame_budget))) if source.is_input else source
            for source in config.sources
        ),
        data=replace(config.data, tile_side=side or config.data.tile_side),
        training=replace(config.training, batch=batch, grad_accum_steps=1),
    )
