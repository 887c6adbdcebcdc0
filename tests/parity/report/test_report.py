"""A comparison of a tiny model as HTML, JSON, JUnit XML and a table."""

import html
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from rich.console import Console

from configs.serialization.printable import picture_text
from parity.comparison.bisection import bisect
from parity.comparison.compare import Comparison, compare_pair
from parity.report.describe_culprit import describe_culprit
from parity.report.document import document
from parity.report.picture import _figure, write_picture
from parity.report.report import Chart, Check, Report, Section
from parity.report.terminal import print_report
from parity.report.write import write_report
from tests.support.hostile_names import HOSTILE_NAMES, MARKUP
from tests.support.tiny_pair import tiny_pair

pytestmark = pytest.mark.usefixtures("one_thread")

NASTY = '<script>alert("&")</script>'
EPSILON = 1e-6
"""Epsilon of the second norm in JAX; PyTorch has 1e-5."""


@pytest.fixture(scope="module")
def agreeing() -> Comparison:
    return compare_pair(*tiny_pair(), ("float64", "float32", "bfloat16"))


@pytest.fixture(scope="module")
def broken() -> Comparison:
    return compare_pair(*tiny_pair(EPSILON), ("float64",))


def _report(comparison: Comparison) -> Report:
    checks = [Check("losses", 1e-8, 1e-6, "as far as rounding takes them"), Check(NASTY, 0, 0, NASTY)]
    section = Section("training", NASTY, checks, [Chart(NASTY, "step", "loss", {NASTY: [1.0, 0.5, 0.0]})], [NASTY])
    return Report(NASTY, [NASTY], comparison, [section], {NASTY: NASTY})


@pytest.fixture(scope="module")
def folder(agreeing, tmp_path_factory):
    path = tmp_path_factory.mktemp("report")
    write_report(_report(agreeing), path)
    return path


@pytest.mark.slow
def test_only_the_three_report_files_are_written(folder):
    assert sorted(path.name for path in folder.iterdir()) == ["junit.xml", "report.html", "report.json"]


class _Tags(HTMLParser):
    """Collects open tags and loaded URLs, and asserts that elements are closed in order."""

    def __init__(self):
        super().__init__()
        self.open, self.loaded, self.seen = [], [], []

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append(tag)
        self.loaded += [value for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.slow
def test_the_page_is_well_formed_and_needs_nothing_else(folder):
    text = (folder / "report.html").read_text()
    tags = _Tags()
    tags.feed(text)
    assert tags.open == []
    assert tags.loaded
    assert all(url.startswith("data:image/svg+xml;base64,") for url in tags.loaded)
    assert {"script", "link", "iframe"} & set(tags.seen) == set()
    assert "url(" not in text
    assert "@import" not in text


@pytest.mark.slow
def test_the_page_contains_all_results(folder, agreeing):
    text = html.unescape(re.sub(r"<[^>]*>", " ", (folder / "report.html").read_text()))
    assert NASTY in text
    assert {group.label.rpartition(".")[2] for group in agreeing.groups} <= {"", *text.split()}
    assert "matmul precision" not in text  # the page shows only the environment that the report was given
    for tolerance in document(_report(agreeing))["tolerances"].values():
        assert tolerance["reason"] in text


@pytest.mark.slow
def test_json_has_every_tensor_and_reads_back_equal(folder, agreeing):
    written = json.loads((folder / "report.json").read_text(), parse_constant=pytest.fail)
    assert written == document(_report(agreeing))
    assert (written["schema"], written["version"], written["passed"]) == ("aef-parity report", 2, True)
    tensors = [tensor for group in written["comparison"]["submodules"] for tensor in group["tensors"]]
    assert len(tensors) == len(agreeing.whole) + len(agreeing.alone)
    assert {tensor["dtype"] for tensor in tensors} == {"float64", "float32", "bfloat16"}


def test_nonfinite_numbers_are_texts_in_json():
    section = Section("x", "x", [Check("x", float("nan"), float("inf"), "x")])
    report = Report("x", sections=[section])
    assert not report.passed
    written = document(report)["sections"][0]["checks"][0]
    assert (written["value"], written["bound"], written["passed"]) == ("nan", "inf", False)


@pytest.mark.slow
def test_junit_has_a_case_per_submodule_dtype_and_direction(folder, agreeing):
    suites = ElementTree.parse(folder / "junit.xml").getroot()
    cases = [(case.get("classname"), case.get("name")) for case in suites.iter("testcase")]
    assert len(cases) == len(set(cases)) == len(agreeing.groups) + 2
    assert ("second.norm", "float32 backward") in cases
    assert suites.find(".//failure") is None


@pytest.mark.slow
def test_every_output_shows_a_fault(broken, tmp_path):
    report = _report(broken)
    write_report(report, tmp_path)
    assert not report.passed
    assert {group.label for group in broken.failed} == {"", "second", "second.norm"}
    assert [culprit.call.label for culprit in broken.culprits] == ["second.norm"]

    suites = ElementTree.parse(tmp_path / "junit.xml").getroot()
    failed = {case.get("classname") for case in suites.iter("testcase") if case.find("failure") is not None}
    assert failed == {"the whole", "second", "second.norm"}
    assert sum(int(suite.get("failures")) for suite in suites) == len(broken.failed)

    written = json.loads((tmp_path / "report.json").read_text())
    assert [culprit["call"] for culprit in written["comparison"]["culprits"]] == ["second.norm"]
    assert "normalization.py" in (tmp_path / "report.html").read_text()

    console = Console(file=io.StringIO(), width=140)
    print_report(report, console)
    printed = console.file.getvalue()
    assert "first difference at second.norm" in printed
    assert "FAIL second.norm, float64 forward" in printed
    assert f"{len(broken.groups) + 2 - len(broken.failed)} of {len(broken.groups) + 2} pass" in printed


@pytest.mark.slow
def test_a_culprit_is_described_and_drawn(tmp_path):
    pair, call = tiny_pair(EPSILON)
    (culprit,) = bisect(pair, call)
    text = describe_culprit(culprit)
    assert text.startswith("second.norm: given the same inputs, its outputs differ")
    assert "torch/nn/modules/normalization.py" in text
    assert "flax/nnx/nn/normalization.py" in text
    write_picture(pair, culprit, tmp_path / "culprit.png")
    assert (tmp_path / "culprit.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_a_sub_module_passes_by_all_its_tensors_together(agreeing):
    """A single tensor out of bounds by chance does not fail a sub-module; one that is too far from PyTorch's does."""
    group = next(group for group in agreeing.groups if (group.label, group.dtype) == ("second", "float32"))
    assert group.passed
    tensor = group.members[0].tensor
    worse = replace(tensor, jax=replace(tensor.jax, relative_l2=2.5 * max(tensor.torch.relative_l2, tensor.floor)))
    one_worse = (replace(group.members[0], tensor=worse), *group.members[1:])
    assert not worse.passed
    assert replace(group, members=one_worse * 1 + group.members * 9).passed
    all_worse = replace(group, members=one_worse[:1] * 3)
    assert not all_worse.passed
    assert len(all_worse.failing) == 3
    far = replace(group, members=(replace(group.members[0], tensor=replace(tensor, near=False)), *group.members * 9))
    assert not far.passed
    assert "from PyTorch's, more than" in far.failure


@pytest.mark.parametrize("what", HOSTILE_NAMES)
def test_names_from_files_reach_no_output_raw(what, tmp_path):
    """Issue 19, hostile input: a tensor's name is what a file says."""
    name = HOSTILE_NAMES[what] + MARKUP
    section = Section("training", name, [Check(name, 1, 0, name)], [], [name])
    report = Report(name, [name], None, [section], {name: name})
    write_report(report, tmp_path)
    for file in ("report.html", "report.json", "junit.xml"):
        text = (tmp_path / file).read_text()
        assert "<script" not in text.replace(json.dumps(MARKUP)[1:-1], "")
        assert all(line.isprintable() for line in text.split("\n"))
    console = Console(file=io.StringIO(), width=140)
    print_report(report, console)
    printed = console.file.getvalue()
    assert "[bold red]" in printed
    assert all(line.isprintable() for line in printed.split("\n"))


def test_a_picture_takes_no_name_for_a_formula(tmp_path):
    image = np.ones((2, 2))
    _figure(picture_text(MARKUP), image, image).savefig(tmp_path / "culprit.png")
    assert (tmp_path / "culprit.png").exists()
