"""Write a report as JUnit XML, which build servers show as tests: one per sub-module, dtype and direction."""

from pathlib import Path
from xml.etree import ElementTree

from aef_jax.files.atomic import replace_file
from configs.serialization.printable import printable_lines
from parity.report.report import Report, display_name


def write_junit(report: Report, path: Path) -> None:
    """Write the document, whole or not at all.

    Args:
        report: The report.
        path: The file.
    """
    suites = ElementTree.Element("testsuites", name=printable_lines(report.title))
    if report.comparison is not None:
        cases = [
            (display_name(group.label), f"{group.dtype} {group.direction}", None if group.passed else group.failure)
            for group in report.comparison.groups
        ]
        suite = _add(suites, "forward and backward", cases)
        for sentence in report.comparison.left_out:
            case = ElementTree.SubElement(suite, "testcase", classname="not compared", name=printable_lines(sentence))
            ElementTree.SubElement(case, "skipped")
        suite.set("tests", str(len(suite)))
        suite.set("skipped", str(len(report.comparison.left_out)))
    for section in report.sections:
        _add(suites, section.title, [(section.name, c.name, None if c.passed else c.failure) for c in section.checks])
    tree = ElementTree.ElementTree(suites)
    ElementTree.indent(tree)
    with replace_file(path) as temporary:
        tree.write(temporary, encoding="utf-8", xml_declaration=True)


def _add(suites: ElementTree.Element, name: str, cases: list[tuple[str, str, str | None]]) -> ElementTree.Element:
    failures = sum(failure is not None for _, _, failure in cases)
    counts = {"name": printable_lines(name), "tests": str(len(cases)), "failures": str(failures)}
    suite = ElementTree.SubElement(suites, "testsuite", counts)
    for place, test, failure in cases:
        case = ElementTree.SubElement(suite, "testcase", classname=printable_lines(place), name=printable_lines(test))
        if failure is not None:
            ElementTree.SubElement(case, "failure", message=printable_lines(failure))
    return suite
