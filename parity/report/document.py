"""Write a whole report as JSON."""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from aef_jax.files.atomic import replace_file
from parity.comparison.bisection import Culprit
from parity.comparison.compare import Comparison
from parity.comparison.groups import Group
from parity.comparison.pair import Measurement
from parity.comparison.tolerances import TOLERANCES
from parity.report.report import Report, Section

SCHEMA = "aef-parity report"
VERSION = 2
"""Increases if readers of the document must change; an additional key is no such change."""


def write_json(report: Report, path: Path) -> None:
    """Write the document, whole or not at all.

    Args:
        report: The report.
        path: The file.
    """
    with replace_file(path) as temporary:
        temporary.write_text(json.dumps(document(report), indent=1, allow_nan=False) + "\n")


def document(report: Report) -> dict[str, Any]:
    """Convert a report to dictionaries, lists, texts and numbers.

    Args:
        report: The report.

    Returns:
        The document. inf, -inf and nan are texts, because JSON has no such numbers.
    """
    contents = {
        "schema": SCHEMA,
        "version": VERSION,
        "title": report.title,
        "passed": report.passed,
        "notes": report.notes,
        "environment": report.environment,
        "tolerances": {dtype: asdict(tolerance) for dtype, tolerance in TOLERANCES.items()},
        "comparison": None if report.comparison is None else _comparison(report.comparison),
        "sections": [_section(section) for section in report.sections],
    }
    return _finite(contents)


def _comparison(comparison: Comparison) -> dict[str, Any]:
    return {
        "passed": comparison.passed,
        "submodules": [_group(group) for group in comparison.groups],
        "running": [_measured(measurement) for measurement in comparison.running],
        "culprits": [_culprit(culprit) for culprit in comparison.culprits],
        "not_alone": comparison.not_alone,
        "unseen": list(comparison.unseen),
    }


def _group(group: Group) -> dict[str, Any]:
    return {
        "label": group.label,
        "dtype": group.dtype,
        "direction": group.direction,
        "passed": group.passed,
        "jax": group.jax,
        "torch": group.torch,
        "ratio": group.ratio,
        "max_ulp": group.max_ulp,
        "tensors": [_measured(measurement) for measurement in group.members],
    }


def _measured(measurement: Measurement) -> dict[str, Any]:
    tensor = measurement.tensor
    call = {"call": measurement.call, "kind": measurement.kind, "label": measurement.label}
    return call | asdict(tensor) | {"ratio": tensor.ratio, "passed": tensor.passed}


def _culprit(culprit: Culprit) -> dict[str, Any]:
    return {
        "call": culprit.call.name,
        "direction": "forward" if culprit.forward else "backward",
        "torch_code": culprit.torch_code,
        "jax_code": culprit.jax_code,
        "tensors": [_measured(measurement) for measurement in culprit.failed],
    }


def _section(section: Section) -> dict[str, Any]:
    checks = [asdict(item) | {"passed": item.passed} for item in section.checks]
    charts = [asdict(chart) for chart in section.charts]
    return {
        "name": section.name,
        "title": section.title,
        "passed": section.passed,
        "notes": section.notes,
        "checks": checks,
        "charts": charts,
    }


def _finite(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _finite(branch) for key, branch in tree.items()}
    if isinstance(tree, list | tuple):
        return [_finite(branch) for branch in tree]
    return str(tree) if isinstance(tree, float) and not math.isfinite(tree) else tree
