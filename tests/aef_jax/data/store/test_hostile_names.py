"""Names in records and in `dataset.json` that cannot be printed are refused, in a message that can be."""

import json
from dataclasses import replace

import numpy as np
import pytest

from aef_jax.cli import main as cli
from aef_jax.data.store.dataset import Dataset
from aef_jax.data.store.record import decode, encode
from tests.support.data.small_dataset import change_description, small_sites, write
from tests.support.hostile_names import HOSTILE_NAMES, assert_harmless
from tests.support.refusals import error_message

PRINTED = "expected 1 to 200 characters that can be printed"


def _rename(mapping: dict, old: str, new: str) -> None:
    mapping[new] = mapping.pop(old)


def _with_site_name(blob: bytes, name: str) -> bytes:
    end = 8 + int.from_bytes(blob[:8], "little")
    header = json.loads(blob[8:end])
    attributes = json.loads(header["__metadata__"]["site"]) | {"name": name}
    header["__metadata__"]["site"] = json.dumps(attributes)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + blob[end:]


def _with_source_name(blob: bytes, name: str) -> bytes:
    end = 8 + int.from_bytes(blob[:8], "little")
    header = {key.replace("landsat", name): entry for key, entry in json.loads(blob[8:end]).items()}
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + blob[end:]


@pytest.mark.parametrize("what", HOSTILE_NAMES)
def test_a_record_with_a_hostile_name_is_refused(what):
    name, (site,) = HOSTILE_NAMES[what], small_sites(1)
    blob = encode(site)
    for changed in (_with_site_name(blob, name), _with_source_name(blob, name)):
        message = error_message(decode, changed, "planet: training record 7")
        assert message.startswith("planet: training record 7: ")
        assert PRINTED in message or "its JSON cannot be read" in message
        assert_harmless(message)
    for wrong in (replace(site, name=name), replace(site, series={name: site.series["landsat"]})):
        assert PRINTED in error_message(encode, wrong), "what cannot be read is not written"


@pytest.mark.parametrize("number", [7, None, ["a"]])
def test_a_site_name_of_another_type_is_refused(number):
    blob = _with_site_name(encode(small_sites(1)[0]), number)
    assert "site is called" in error_message(decode, blob, "record 7")


HOSTILE = {
    "source": lambda table, name: _rename(table["sources"], "landsat", name),
    "band": lambda table, name: table["sources"]["landsat"].update(bands=[name] * 7),
    "dtype": lambda table, name: table["sources"]["landsat"].update(dtype=name),
    "field": lambda table, name: table["sources"]["landsat"].update({name: 1}),
    "times": lambda table, name: table["sources"]["landsat"].update(first_ms=name),
    "shard": lambda table, name: table["splits"]["training"][0].update(file=name),
    "records": lambda table, name: table["splits"]["training"][0].update(records=name),
    "text model": lambda table, name: table["text"].update(model=name),
    "format": lambda table, name: table.update(format=name),
    "version": lambda table, name: table.update(version=name),
    "statistics": lambda table, name: table["normalization"].update({name: {"mean": [0], "deviation": [1]}}),
}


@pytest.mark.slow
@pytest.mark.parametrize("place", HOSTILE)
def test_a_hostile_name_in_the_description_is_refused(own_dataset, place, capsys):
    whole = (own_dataset / "dataset.json").read_text()
    for name in HOSTILE_NAMES.values():
        change_description(own_dataset, lambda table, name=name: HOSTILE[place](table, name))
        message = error_message(Dataset.open, own_dataset)
        assert message.startswith(f"{own_dataset / 'dataset.json'}: ")
        assert_harmless(message)
        assert cli.main(["data", "info", str(own_dataset)]) == 2
        assert_harmless(capsys.readouterr().err)
        (own_dataset / "dataset.json").write_text(whole)


@pytest.mark.slow
def test_words_of_a_record_are_shown_escaped(tmp_path, capsys):
    (site,) = small_sites(1)
    words = tuple(f"forest\x1b[2J \u202e{name[:50]}" for name in HOSTILE_NAMES.values() if name != "\ud800") * len(
        site.text
    )
    folder = write(tmp_path / "set", [replace(site, text=replace(site.text, words=words[: len(site.text)]))])
    settings = ("--data.tile_side", "16", "--model.text_width", "8", "--objective.text", "0.01")
    shown = ["data", "show", str(folder), "0", "--preset", "small", "-o", str(tmp_path / "a.png"), *settings]
    assert cli.main(shown) == 0
    printed = capsys.readouterr().out
    assert r"forest\x1b[2J" in printed
    assert_harmless(printed)


def test_half_a_letter_is_not_written():
    (site,) = small_sites(1)
    words = ("\ud800",) * len(site.text)
    message = error_message(encode, replace(site, text=replace(site.text, words=words)))
    assert "site site0: its JSON cannot be read" in message
    assert_harmless(message)


def test_no_data_of_nan_is_kept():
    (site,) = small_sites(1)
    series = {name: replace(each, no_data=float("nan")) for name, each in site.series.items()}
    assert np.isnan(decode(encode(replace(site, series=series)), "record 1").series["landsat"].no_data)
