"""Format the report of `aef compile` for the terminal and as JSON."""

import math
from collections.abc import Sequence
from typing import Any

from aef_jax.aot.compile import Compiled
from aef_jax.aot.cost.roofline import PAPER_STEPS
from aef_jax.aot.hlo.collectives import KINDS, Collective
from aef_jax.console.tables import format_table
from aef_jax.console.units import readable

_NUM_LISTED = 8


def report_json(compiled: Compiled) -> dict[str, Any]:
    """Convert the whole report to JSON's types.

    Args:
        compiled: the step.

    Returns:
        A tree of sizes in bytes and times in seconds, of one device and one step.
    """
    chip, memory, roofline = compiled.chip, compiled.memory, compiled.roofline
    return {
        "topology": compiled.topology,
        "mesh": compiled.mesh,
        "batch": compiled.config.training.batch,
        "parameters": compiled.parameters,
        "lowering_seconds": compiled.lowering_seconds,
        "compile_seconds": compiled.compile_seconds,
        "full": compiled.full,
        "chip": vars(chip),
        "memory": {**vars(memory), "peak": memory.peak, "spare": memory.spare},
        "collectives": {
            "by_kind": by_kind(compiled.collectives, chip.link_bandwidth),
            "in_blocks": by_kind(compiled.in_blocks, chip.link_bandwidth),
            "all": [vars(collective) for collective in compiled.collectives],
        },
        "roofline": {
            "operators": [{**vars(operator), "seconds": operator.seconds} for operator in roofline.operators],
            "flops": roofline.flops,
            "bytes": roofline.bytes,
            "intensity": roofline.flops / roofline.bytes,
            "exposed_collectives_seconds": roofline.exposed_seconds,
            "hidden_collectives_seconds": roofline.hidden_seconds,
            "step_seconds": roofline.seconds,
            f"hours_of_{PAPER_STEPS}_steps": roofline.hours(),
        },
        "xla_estimates": {
            "seconds": compiled.estimates.seconds,
            "by_operator": compiled.estimates.by_operator,
            "costliest": [vars(costly) for costly in compiled.estimates.costliest],
        },
    }


def by_kind(collectives: Sequence[Collective], link_bandwidth: float) -> dict[str, dict[str, Any]]:
    """Sum collectives by their kind.

    Args:
        collectives: of the compiled step.
        link_bandwidth: bytes per second of one link, one way.

    Returns:
        For each kind that occurs: the number of instructions, the number of their runs in one step ("count"), the bytes
        of all payloads, and the seconds of sending them while the program waits ("exposed") and computes ("hidden").
    """
    table = {}
    for kind in KINDS:
        same = [collective for collective in collectives if collective.kind == kind]
        seconds = sum(collective.seconds(link_bandwidth) for collective in same)
        exposed = sum(collective.exposed_seconds(link_bandwidth) for collective in same)
        table[kind] = {
            "instructions": len(same),
            "count": sum(collective.times for collective in same),
            "bytes": sum(collective.times * collective.payload for collective in same),
            "exposed_seconds": exposed,
            "hidden_seconds": seconds - exposed,
        }
    return {kind: row for kind, row in table.items() if row["count"]}


def format_report(compiled: Compiled) -> str:
    """Format the report for the terminal.

    Args:
        compiled: the step.

    Returns:
        Tables of at most 120 columns.
    """
    return "\n\n".join(part(compiled) for part in (_head, _memory, _collectives, _roofline, _estimates))


def _head(compiled: Compiled) -> str:
    chip, devices = compiled.chip, math.prod(compiled.mesh.values())
    mesh = ",".join(f"{axis}={size}" for axis, size in compiled.mesh.items())
    link = f"{2 * chip.axes} links of {readable(chip.link_bandwidth)}B/s"
    return (
        f"{readable(compiled.parameters)} parameters, {compiled.config.training.batch} sequences per step"
        f" on {compiled.topology}: {devices} chips, {mesh}\n"
        f"lowered in {compiled.lowering_seconds:.0f} s, compiled in {compiled.compile_seconds:.0f} s"
        f"{'' if compiled.full else ' with the least effort (see --full)'}\n"
        f"{chip.name}: {readable(chip.peak_flops)}FLOP/s in bfloat16, {readable(chip.hbm_bytes)}B of HBM at"
        f" {readable(chip.hbm_bandwidth)}B/s, {link}\n"
        f"  {chip.source}"
    )


def _memory(compiled: Compiled) -> str:
    memory = compiled.memory
    parts = ("arguments", "outputs", "aliased", "temporaries", "peak_data", "code", "peak")
    rows = [(part.replace("_", " "), f"{readable(getattr(memory, part))}B") for part in parts]
    return "\n".join(["memory of a chip", *format_table([*rows, ("spare", f"{memory.spare:.0%}")], "<>")])


def _collectives(compiled: Compiled) -> str:
    link = compiled.chip.link_bandwidth
    times = "bytes", "exposed ms", "hidden ms"
    rows: list[tuple[str, ...]] = [("collectives", "kinds", "per step", *times, "in blocks", *times)]
    inside = by_kind(compiled.in_blocks, link)
    for kind, row in by_kind(compiled.collectives, link).items():
        blocks = inside.get(kind, dict.fromkeys(row, 0))
        counts = str(row["instructions"]), str(row["count"])
        rows.append((kind, *counts, *_sent(row), str(blocks["count"]), *_sent(blocks)))
    if len(rows) == 1:
        return "no collectives"
    lines = format_table(rows, "<>")
    unknown = sum(None in collective.loops for collective in compiled.collectives)
    if unknown:
        lines.append(f"{unknown} of them are in loops of unknown length and are counted once")
    return "\n".join(lines)


def _sent(row: dict[str, Any]) -> tuple[str, str, str]:
    return f"{readable(row['bytes'])}B", _ms(row["exposed_seconds"]), _ms(row["hidden_seconds"])


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.2f}"


def _roofline(compiled: Compiled) -> str:
    roofline = compiled.roofline
    rows: list[tuple[str, ...]] = [("roofline, one chip", "FLOP", "bytes", "FLOP/byte", "FLOP ms", "HBM ms", "ms")]
    for operator in roofline.operators:
        intensity = operator.flops / operator.bytes if operator.bytes else 0
        sizes = readable(operator.flops), f"{readable(operator.bytes)}B", f"{intensity:.0f}"
        times = map(_ms, (operator.flop_seconds, operator.memory_seconds, operator.seconds))
        rows.append((operator.name, *sizes, *times))
    rows.append(("collectives exposed", *[""] * 5, _ms(roofline.exposed_seconds)))
    sizes = readable(roofline.flops), f"{readable(roofline.bytes)}B", f"{roofline.flops / roofline.bytes:.0f}"
    rows.append(("step", *sizes, "", "", _ms(roofline.seconds)))
    rows.append(("collectives hidden", *[""] * 5, _ms(roofline.hidden_seconds)))
    *lines, hidden = format_table(rows, "<>")
    return "\n".join(
        [*lines, f"{hidden}  not part of the step", f"{PAPER_STEPS:,} steps: {roofline.hours():.1f} hours"]
    )


def _estimates(compiled: Compiled) -> str:
    estimates = compiled.estimates
    lines = [f"XLA's estimate without collectives: {1e3 * estimates.seconds:.1f} ms; by operator"]
    lines += format_table([(name, _ms(seconds)) for name, seconds in estimates.by_operator.items()], "<>")
    lines.append("the costliest instructions (ms, runs per step, result, origin)")
    costliest = estimates.costliest[:_NUM_LISTED]
    rows = [(_ms(each.seconds), str(each.times), each.shape[:40], each.origin[-60:]) for each in costliest]
    return "\n".join([*lines, *format_table(rows, ">><")])
