"""What the benchmarks' commands are told of the config and its size."""

import argparse
from dataclasses import replace

from aef_jax.cli.resolve_config import resolve
from configs.config import Config


def sized_parser(description: str | None) -> argparse.ArgumentParser:
    """With the options that `sized` reads; what it does not know are settings of the config."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", metavar="PRESET|CONFIG.json|RUN")
    parser.add_argument("--side", type=int, help="pixels of a tile (default: the config's)")
    parser.add_argument("--frames", type=int, help="of all sources, about (default: the config's budgets)")
    parser.add_argument("--batch", type=int, default=2, help="sequences at once (default: 2)")
    parser.add_argument("--rounds", type=int, default=5, help="in which each is timed once (default: 5)")
    return parser


def sized(parser: argparse.ArgumentParser) -> tuple[argparse.Namespace, Config]:
    """The command line's options, and the config of the size that they ask for. A mistake in them ends the process."""
    options, settings = parser.parse_known_args()
    if options.rounds < 1:
        parser.error(f"--rounds is {options.rounds}, expected at least 1")
    try:
        return options, benchmarked(resolve(options.what, settings)[0], options.side, options.frames, options.batch)
    except (ValueError, OSError) as error:
        parser.error(str(error))


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
        training=replace(config.training, batch=batch, grad_accum_steps=1),
    )
