"""One line of `metrics.jsonl`."""

from typing import Any

from aef_jax.run.format import upgrade_kind
from configs.serialization.strict_json import loads


def parse_record(line: str) -> dict[str, Any]:
    """Parse a line.

    Args:
        line: JSON that `MetricsWriter` wrote, in this or an older version.

    Returns:
        The record: its "step", its "kind", and numbers by name, None if they were not finite.

    Raises:
        ValueError: the line is no such record.
    """
    record = loads("the line", line)
    if not isinstance(record, dict) or type(record.get("step")) is not int or not isinstance(record.get("kind"), str):
        raise ValueError("it is no record with a step and a kind")
    for name, value in record.items():
        if name != "kind" and value is not None and type(value) not in (int, float):
            raise ValueError("it holds more than numbers")
    return record | {"kind": upgrade_kind(record["kind"])}
