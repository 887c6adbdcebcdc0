"""Provide pytest's fixture `parity_case` to any project.

pytest imports this file for the tests of every project in the environment. It imports nothing of ours until a test
uses the fixture, and its name is one that no project has: a project may have a package `parity` of its own.
"""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from parity.comparison.compare import Comparison


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option `--parity-report DIR`.

    Args:
        parser: pytest's parser.
    """
    parser.getgroup("parity").addoption(
        "--parity-report",
        type=Path,
        metavar="DIR",
        help="write each comparison of PyTorch and Flax as one line of JSON to DIR/parity.jsonl",
    )


@pytest.fixture
def parity_case(request: pytest.FixtureRequest, _parity_lines: Callable[[Any], None]) -> "Callable[..., Comparison]":
    """Return `parity.assert_parity`, which also writes each comparison as a line of the report, passed or not.

    Args:
        request: pytest's request.

    Returns:
        The function.
    """
    from aef_packages import require

    require("parity", "configs")
    from parity.comparison.assertion import raise_if_failed
    from parity.comparison.compare import compare
    from parity.report.document import document
    from parity.report.report import Report

    def compared(*arguments: Any, **options: Any) -> "Comparison":
        comparison = compare(*arguments, **options)
        _parity_lines(document(Report(request.node.nodeid, comparison=comparison, environment=comparison.environment)))
        raise_if_failed(comparison)
        return comparison

    return compared


@pytest.fixture(scope="session")
def _parity_lines(request: pytest.FixtureRequest) -> Iterator[Callable[[Any], None]]:
    """Write a line if a report was asked for. Each worker of pytest-xdist has a file of its own."""
    folder = request.config.getoption("--parity-report")
    if folder is None:
        yield lambda line: None
        return
    folder.mkdir(parents=True, exist_ok=True)
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    with open(folder / (f"parity-{worker}.jsonl" if worker else "parity.jsonl"), "w") as file:
        yield lambda line: print(json.dumps(line, allow_nan=False), file=file, flush=True)
