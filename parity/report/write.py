"""Write all files of a report into one folder."""

from pathlib import Path

from parity.report.document import write_json
from parity.report.junit import write_junit
from parity.report.page import write_html
from parity.report.report import Report

NAMES = ("report.html", "report.json", "junit.xml")


def write_report(report: Report, folder: Path) -> None:
    """Write report.html, report.json and junit.xml, each whole or not at all.

    Args:
        report: The report.
        folder: The folder, which is made.
    """
    for write, name in zip((write_html, write_json, write_junit), NAMES, strict=True):
        write(report, folder / name)
