"""Names from files are made safe to print (issue 19, hostile input)."""

import pytest

from configs.serialization.printable import (
    html_text,
    picture_text,
    print_lines,
    printable,
    printable_lines,
    printable_value,
    require_printable,
    sentence,
)
from configs.source import Band, Metadata, Source
from tests.support.hostile_names import HOSTILE_NAMES, MARKUP, assert_harmless
from tests.support.refusals import error_message


@pytest.mark.parametrize("what", HOSTILE_NAMES)
def test_every_form_is_harmless(what, capsys):
    name = HOSTILE_NAMES[what]
    for text in (printable(name), printable_value({name: [name]}), sentence(ValueError(name)), picture_text(name)):
        assert_harmless(text)
        assert "\n" not in text
    print_lines(f"first\n{printable(name)}")
    assert_harmless(capsys.readouterr().out)


def test_plain_names_stay_as_they_are(capsys):
    for name in ("site_00007", "größe 3 µm", "a/b.c[0]"):
        assert printable(name) == html_text(name) == picture_text(name) == sentence(ValueError(name)) == name
        assert require_printable("site", name) == name
    assert printable_lines("a\nb\n") == "a\nb\n"
    assert sentence(KeyError()) == "KeyError"
    print_lines("two\nlines", end="")
    assert capsys.readouterr().out == "two\nlines"


def test_markup_is_only_text():
    assert html_text(MARKUP) == "&lt;script&gt;alert(&quot;&amp;&quot;)&lt;/script&gt;[bold red]$\\frac$"
    assert picture_text("a $\\frac$") == r"a \$\frac\$"


@pytest.mark.parametrize("name", [*HOSTILE_NAMES.values(), "", 7, None, ["a"]])
def test_a_name_that_cannot_be_printed_is_refused(name):
    for make in (
        lambda: require_printable("site", name),
        lambda: Band(name, "m"),
        lambda: Band("B2", name),
        lambda: Metadata(name, "angle"),
    ):
        message = error_message(make)
        assert_harmless(message)
        assert "expected 1 to 200 characters that can be printed" in message


@pytest.mark.parametrize("name", HOSTILE_NAMES.values())
def test_a_source_with_a_hostile_name_is_refused(name):
    assert_harmless(error_message(Source, name, "continuous", (Band("B2", "m"),)))
