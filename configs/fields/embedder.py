"""A trained model, ready to embed a user's own frames; the same for both frameworks."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from configs.config import Config
from configs.fields.frames import Time, grid_coordinates, read_frames, read_period
from configs.fields.label import label_field
from configs.fields.periods import default_support
from configs.fields.stacks import FrameStack
from configs.fields.statistics import CLIP_SIGMA, MAX_OUT_OF_RANGE, MAX_WRONG, BandStatistics, has_data
from configs.fields.tiling import Area, Embed, embed_area


@dataclass(frozen=True)
class Embedder:
    """A model with its statistics. Made by `aef_jax.load_run` and `aef_torch.load_weights`."""

    config: Config
    statistics: BandStatistics
    model: Embed
    """Maps z-scored tiles and codes of valid periods to mean directions."""

    @property
    def inputs(self) -> dict[str, dict[str, str]]:
        """The units of the bands of each source that the model takes: {source: {band: unit}}."""
        sources = self.statistics.known(self.config.input_sources)
        return {source.name: {band.name: band.unit for band in source.bands} for source in sources}

    def embed(
        self,
        frames: Mapping[str, Any],
        period: int | tuple[Time, Time],
        support: int | tuple[Time, Time] | None = None,
        no_data: Mapping[str, float] | None = None,
    ) -> Any:
        """Compute the embedding field of the user's own frames over a valid period.

        All frames of the support period are used. Frames are scaled and z-scored here: give them as the sensor's
        product stores them (see `inputs` for bands and units), with their clouds.

        Args:
            frames: by source, each (pixels, times), (pixels, times, mask) or xarray; see
                `configs.fields.frames.read_frames`. All sources lie on one grid of 10 m.
            period: the valid period: a calendar year, or its two ends, in UTC; the end is not part of it.
            support: the period whose frames are used; by default the valid period, or a year around a shorter one.
            no_data: by source, the number that stands for no data beside NaN: {"sentinel2": 0}.

        Returns:
            Unit vectors (H, W, D) in float32, NaN at a pixel that no frame of any source shows: an xarray.DataArray
            with dimensions y, x and embedding if a source came from xarray, else a NumPy array.

        Raises:
            ValueError: a source is unknown, frames do not fit together, their unit is obviously wrong, or no frame lies
                in the support period.
        """
        valid = read_period(period)
        used = default_support(valid, self.config) if support is None else read_period(support)
        (field,) = embed_area(self.model, Area(self._stacks(frames, no_data or {}), [valid], used), self.config)
        coordinates = grid_coordinates(frames)
        return field if coordinates is None else label_field(field, coordinates, valid, used)

    def _stacks(self, frames: Mapping[str, Any], no_data: Mapping[str, float]) -> dict[str, FrameStack]:
        sources = {source.name: source for source in self.statistics.known(self.config.input_sources)}
        unknown = sorted(frames.keys() - sources.keys())
        if unknown or not frames:
            raise ValueError(f"frames are of {unknown or 'no source'}, expected some of {sorted(sources)}")
        stacks = {name: self._z_scored(name, frames[name], no_data.get(name)) for name in sources if name in frames}
        shapes = {name: stack.pixels.shape[1:3] for name, stack in stacks.items()}
        if len(set(shapes.values())) > 1:
            raise ValueError(f"sources lie on different grids: rows and columns are {shapes}, expected the same")
        return stacks

    def _z_scored(self, name: str, frames: Any, no_data: float | None) -> FrameStack:
        source = next(source for source in self.config.input_sources if source.name == name)
        raw = read_frames(source, frames)
        z, valid = self.statistics.z_score_pixels(raw.pixels, source, no_data)
        # a band that training never saw counts as no data
        observed = has_data(raw.pixels, no_data) & np.isfinite(self.statistics.mean[name])
        share = ((np.abs(z) == CLIP_SIGMA) | ~valid)[observed].mean() if observed.any() else 0
        units = sorted({band.unit for band in source.bands})
        problem = (
            f"source {name}: {share:.0%} of its values lie beyond {CLIP_SIGMA:.0f} standard deviations of the training"
            f" data or out of their valid range; expected the unit {' or '.join(units)}"
        )
        if share > MAX_WRONG:
            raise ValueError(problem)
        if share > MAX_OUT_OF_RANGE:
            logging.getLogger(__name__).warning(problem)
        return FrameStack(z, raw.time_ms)
