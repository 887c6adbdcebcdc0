"""Match the bands of a source to the names in a file: by name, never by position."""

import re
from collections.abc import Mapping, Sequence

from configs.serialization.config_json import nearest
from configs.serialization.printable import printable
from configs.source import Source

PREFIXES = {
    "sentinel2": "s2 sentinel2 l1c l2a toa boa sr",
    "landsat": "l8 l9 lc08 lc09 landsat landsat8 landsat9 l1tp l2sp l2sr l1 l2 toa sr st",
    "sentinel1": "s1 sentinel1 grd iw rtc sigma0 gamma0",
    "palsar2": "alos alos2 palsar palsar2 gamma0",
    "glo30": "glo30 copernicus cop30",
    "era5_land": "era5 era5_land agera5",
}
"""Words before a band's name that say which product it is of, by source. They are of one source each, so that the
`S2-L2A-B02` of a file with several sensors is no band of Landsat."""

# Band numbers are those of Landsat 8 and 9: B2 of Landsat 5 and 7 is green, so lt05 and le07 are no prefixes.
# nir08 is B5 of Landsat, but B8A of Sentinel-2, which the table does not have.
ALIASES = {
    "sentinel2": {"B2": "blue", "B3": "green", "B4": "red", "B8": "nir", "B11": "swir16 swir1"},
    "landsat": {
        "B2": "blue",
        "B3": "green",
        "B4": "red",
        "B5": "nir nir08",
        "B6": "swir16 swir1",
        "B8": "pan",
        "B10": "lwir11 lwir1",
    },
    "sentinel1": {"angle": "incidence_angle"},
    "palsar2": {"LIN": "linci angle local_incidence_angle"},
    "glo30": {"elevation": "dem dsm height"},
}
"""Other names of bands, by source: the common names of STAC's `eo` extension, and those of the products."""

_DAILY = {
    "total_precipitation": "tp precipitation precipitation_flux precip",
    "temperature_2m": "t2m 2m_temperature temperature_mean tmean temperature_air_2m_mean_24h",
    "temperature_2m_min": "temperature_min tmin mn2t temperature_air_2m_min_24h",
    "temperature_2m_max": "temperature_max tmax mx2t temperature_air_2m_max_24h",
    "dewpoint_temperature_2m": "d2m 2m_dewpoint_temperature dewpoint_temperature tdew dew_point_temperature_2m_mean",
    "surface_pressure": "sp",
}
"""Names of daily or hourly variables of ERA5-Land and AgERA5, by what monthly bands are made of."""

_MAX_NAMES = 20
"""Names of a file, or bands, that a message lists at most."""
_MAX_LENGTH = 40
"""Characters of each of them."""


def match_bands(source: Source, available: Sequence[str], renames: Mapping[str, str], where: str) -> dict[str, str]:
    """Look up what a file calls the bands of a source.

    Case, separators, zero padding and the product's prefix do not count: `B2`, `b02`, `S2-L2A-B02` and `SR_B2` are
    one name. `B8` and `B8A` are two.

    Args:
        source: its bands are looked up.
        available: names in the file. A number is no name: `band_2` may be any band.
        renames: the file's names by the names of `source`, which the user gives; they are not looked up.
        where: names the file, for messages.

    Returns:
        The file's names by the names of `source`, in the order of its bands; without those that the file lacks.

    Raises:
        ValueError: two names of the file match a band, two bands match a name, no band matches, or a rename has an
            unknown band or name.
    """
    bands = [band.name for band in source.bands]
    _validate_renames(source, bands, available, renames, where)
    keys = {name: _key(name, PREFIXES.get(source.name, "")) for name in available}
    aliases = ALIASES.get(source.name, {})
    matched = {}
    for band in bands:
        spellings = {_key(name) for name in (band, *aliases.get(band, "").split())}
        names = [renames[band]] if band in renames else [name for name, key in keys.items() if key in spellings]
        if len(names) > 1:
            raise ValueError(
                f"{where}: band {band} of {source.name} may be {_listed(names, ' or ')}, expected one name: say which"
                " in `bands`"
            )
        if names:
            matched[band] = names[0]
    if not matched:
        raise ValueError(
            f"{where}: none of the names {_listed(available)} is a band of {source.name}, expected"
            f" {_listed(bands)}: say what the file calls them in `bands`"
        )
    _validate_unique(matched, available, where)
    return matched


def match_daily_bands(
    source: Source, available: Sequence[str], renames: Mapping[str, str], where: str
) -> dict[str, str]:
    """Look up the daily or hourly variables that monthly bands are made of.

    Args:
        source: its bands end with _sum, _mean, _min or _max.
        available: names in the file.
        renames: the file's names by the names of `source`, which the user gives.
        where: names the file, for messages.

    Returns:
        The file's names by the names of `source`; one may be of several bands.

    Raises:
        ValueError: no band has a variable, or a rename has an unknown band or name.
    """
    bands = [band.name for band in source.bands]
    _validate_renames(source, bands, available, renames, where)
    keys = {_key(name, PREFIXES.get(source.name, "")): name for name in available}
    matched = {}
    for band in bands:
        variable = band.rpartition("_")[0]
        spellings = (name for what in (band, variable) for name in (what, *_DAILY.get(what, "").split()))
        matching = renames.get(band) or next((keys[key] for name in spellings if (key := _key(name)) in keys), None)
        if matching:
            matched[band] = matching
    if not matched:
        raise ValueError(
            f"{where}: none of {_listed(available)} is a daily variable of {source.name}, expected such as"
            f" {_listed(list(_DAILY))}: say in `bands` what the file calls them"
        )
    return matched


def _validate_renames(
    source: Source, bands: list[str], available: Sequence[str], renames: Mapping[str, str], where: str
) -> None:
    for band, name in renames.items():
        if band not in bands:
            raise ValueError(
                f"{where}: `bands` has {_quoted(band)}, which is no band of {source.name}, {nearest(band, bands)}"
            )
        if name not in available:
            raise ValueError(
                f"{where}: `bands` says that {band} is {_quoted(name)}, which the file does not have,"
                f" {nearest(name, [printable(other, _MAX_LENGTH) for other in available])}"
            )


def _validate_unique(matched: dict[str, str], available: Sequence[str], where: str) -> None:
    bands = {name: band for band, name in matched.items()}
    for band, name in matched.items():
        if bands[name] != band:
            raise ValueError(
                f"{where}: bands {band} and {bands[name]} are both {_quoted(name)}, expected a name for each"
            )
        if available.count(name) > 1:
            raise ValueError(f"{where}: {available.count(name)} bands are called {_quoted(name)}, expected one")


def _key(name: str, prefixes: str = "") -> str:
    """Reduce a name to what all its spellings share: `S2-L2A-B02` and `B2` to b2, `rh_098` to rh98."""
    words = re.split(r"[\W_]+", name.strip().lower())
    while len(words) > 1 and words[0] in prefixes.split():
        words.pop(0)
    key = "_".join(words)
    numbered = re.fullmatch(r"(b|rh)_?0*(\d+a?)", key)
    return "".join(numbered.groups()) if numbered else key


def _listed(names: Sequence[str], separator: str = ", ") -> str:
    """List names from files in a message."""
    more = f"{separator}..." if len(names) > _MAX_NAMES else ""
    return separator.join(_quoted(name) for name in names[:_MAX_NAMES]) + more or "(none)"


def _quoted(name: str) -> str:
    return printable(repr(name), _MAX_LENGTH)
