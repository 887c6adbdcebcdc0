"""Draw the result of a tool beside its GeoTIFF."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, Shaped
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from aef_jax.inference.field import FieldInfo
from aef_jax.visualize.field_colors import class_colors
from aef_jax.visualize.pictures import NO_DATA_COLOR, save_png
from configs.serialization.printable import picture_text
from configs.source import PIXEL_M

LONGEST = 1200
"""The most pixels of a picture's side that are drawn."""
_LEGEND_CLASSES = 24
"""The most classes that a legend lists."""


class MapPicture:
    """A map with a title, axes in kilometers, and one panel for each layer.

    Args:
        info: of the field.
        title: of the picture.
        panels: number of maps side by side.
    """

    def __init__(self, info: FieldInfo, title: str, panels: int = 1):
        height, width = info.shape
        self.extent = (0, width * PIXEL_M / 1000, height * PIXEL_M / 1000, 0)
        tall = min(max(6 * height / width, 2.5), 12)
        self.figure = Figure(figsize=(7.2 * panels, tall + 1.1), layout="constrained")
        self.panels: Sequence[Axes] = self.figure.subplots(1, panels, squeeze=False)[0]
        self.panels[0].set_title(title, fontsize=12, loc="left", pad=20)
        for axes in self.panels:
            axes.set_facecolor(NO_DATA_COLOR)
            axes.set(xlabel="km", ylabel="km")

    def draw_colors(self, colors: Shaped[np.ndarray, "h w 4"], note: str) -> None:
        """Draw red, green, blue and opacity.

        Args:
            colors: 8 bits each.
            note: line above the map.
        """
        self.panels[0].imshow(colors, interpolation="nearest", extent=self.extent)
        self.panels[0].text(0, 1.012, note, transform=self.panels[0].transAxes, fontsize=9)

    def draw_values(
        self, values: Float[np.ndarray, "h w"], label: str, limits: tuple[float, float], panel: int = 0
    ) -> None:
        """Draw numbers with a color bar.

        Args:
            values: NaN is no data.
            label: of the color bar.
            limits: values of the first and the last color.
            panel: index of the map.
        """
        norm, axes = Normalize(*limits), self.panels[panel]
        axes.imshow(values, norm=norm, cmap="viridis", interpolation="nearest", extent=self.extent)
        self.figure.colorbar(ScalarMappable(norm, "viridis"), ax=axes, shrink=0.7, label=label)

    def draw_classes(self, classes: Int[np.ndarray, "h w"], names: Sequence[str], legend_title: str) -> None:
        """Draw a class map with a legend that has each class's share of the pixels.

        Args:
            classes: counted from 1; 0 is no data.
            names: of the classes.
            legend_title: above the legend.
        """
        colors = class_colors(len(names))
        opaque = np.concatenate([np.zeros((1, 4)), np.column_stack([colors, np.ones(len(names))])])
        self.panels[0].imshow(opaque[classes], interpolation="nearest", extent=self.extent)
        counts = np.bincount(classes.ravel(), minlength=len(names) + 1)[1:]
        shares = counts / max(counts.sum(), 1)
        handles = [
            Patch(color=tuple(color), label=f"{picture_text(name)}, {share:.0%}")
            for color, name, share in zip(colors, names, shares, strict=True)
        ]
        if len(handles) > _LEGEND_CLASSES:
            handles = [
                *handles[:_LEGEND_CLASSES],
                Patch(color="none", label=f"and {len(names) - _LEGEND_CLASSES} more"),
            ]
        outside = {"loc": "upper left", "bbox_to_anchor": (1.01, 1)}
        self.panels[0].legend(handles=handles, title=legend_title, fontsize=9, frameon=False, **outside)

    def mark(self, rows: Int[np.ndarray, "N"], columns: Int[np.ndarray, "N"]) -> None:
        """Mark pixels.

        Args:
            rows: of the field.
            columns: of the field.
        """
        x, y = ((pixels + 0.5) * PIXEL_M / 1000 for pixels in (columns, rows))
        self.panels[0].plot(x, y, "o", color="none", markersize=9, markeredgecolor="black", markeredgewidth=2.5)
        self.panels[0].plot(x, y, "o", color="none", markersize=9, markeredgecolor="white", markeredgewidth=1.2)

    def save(self, output: Path) -> Path:
        """Write the picture beside a GeoTIFF.

        Args:
            output: the GeoTIFF.

        Returns:
            Path of the PNG.
        """
        save_png(self.figure, path := output.with_suffix(".png"))
        return path


def value_limits(values: Float[np.ndarray, "h w"], top: float | None = None) -> tuple[float, float]:
    """Choose limits of a color bar: the 2nd and the 98th percentile.

    Args:
        values: NaN is no data.
        top: the upper limit, if it is not the percentile.

    Returns:
        The limits; 0 and 1 if there is no number.
    """
    known = values[np.isfinite(values)]
    if not len(known):
        return 0.0, 1.0
    low, high = np.percentile(known, [2, 98]).tolist()
    return low, top if top is not None else max(high, low + 1e-6)
