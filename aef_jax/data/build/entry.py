"""One entry of a config: where its acquisitions are, and what their bands and units are."""

from collections.abc import Mapping, Sequence

from aef_jax.data.build.catalogs.acquisition import Catalog
from aef_jax.data.build.config import FilesConfig
from aef_jax.data.build.frames.masks import MASK_KINDS, kind_of_mask
from aef_jax.data.build.frames.units import validate_unit
from aef_jax.data.build.readers.bands import match_bands, match_daily_bands
from configs.source import Band


class Entry:
    """An entry of the config and its catalog, checked against each other.

    Args:
        files: the entry.
        catalog: its acquisitions.

    Raises:
        ValueError: no band of the source is in the catalog, a unit does not convert, or the mask is in no file or of
            no known kind.
    """

    def __init__(self, files: FilesConfig, catalog: Catalog):
        self.files, self.catalog = files, catalog
        where, names = f"source {files.name}", catalog.names
        match = match_daily_bands if files.monthly else match_bands
        self.names: Mapping[str, str] = match(files.source, names, files.bands, where)
        self.mask_kind = files.mask_kind or kind_of_mask(files.mask) or ""
        for band in files.source.bands:
            if band.name in self.names:
                validate_unit(self.unit(band), band, where)
        _validate_mask(files, self.mask_kind, names)

    def unit(self, band: Band) -> str:
        """Look up the unit of a band in the files.

        Args:
            band: of the source.

        Returns:
            The unit.
        """
        return self.files.units.get(band.name, self.files.unit)


def _validate_mask(files: FilesConfig, kind: str, names: Sequence[str]) -> None:
    if files.mask and files.mask not in names:
        raise ValueError(f"source {files.name}: no file holds its mask {files.mask!r}, only {list(names[:20])}")
    if files.mask and kind not in MASK_KINDS:
        raise ValueError(
            f"source {files.name}: mask_kind of {files.mask!r} is {files.mask_kind!r}, expected one of"
            f" {', '.join(MASK_KINDS)}"
        )
