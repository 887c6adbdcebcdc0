"""Format the report of `aef compile` for the terminal and as JSON."""

import math
from collections.abc import Sequence
from typing import Any

from aef_jax.aot.compile import Compiled
from aef_jax.aot.cost.roofline import PAPER_STEPS
from aef_jax.aot.hlo.collectives import KINDS, Collective
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
    rows = [f"{part.replace('_', ' '):12}{readable(getattr(memory, part)):>10}B" for part in parts]
    return "\n".join(["memory of a chip", *rows, f"{'spare':12}{memory.spare:10.0%}"])


def _collectives(compiled: Compiled) -> str:
    link = compiled.chip.link_bandwidth
    rows = [
        f"{'collectives':20}{'kinds':>8}{'per step':>10}{'bytes':>12}{'exposed ms':>12}{'hidden ms':>11}"
        f"{'in blocks':>12}{'bytes':>12}{'exposed ms':>12}{'hidden ms':>11}"
    ]
    inside = by_kind(compiled.in_blocks, link)
    for kind, row in by_kind(compiled.collectives, link).items():
        blocks = inside.get(kind, dict.fromkeys(row, 0))
        rows.append(f"{kind:20}{row['instructions']:8}{row['count']:10}{_sent(row)}{blocks['count']:12}{_sent(blocks)}")
    unknown = sum(None in collective.loops for collective in compiled.collectives)
    if unknown:
        rows.append(f"{unknown} of them are in loops of unknown length and are counted once")
    return "\n".join(rows if len(rows) > 1 else ["no collectives"])


def _sent(row: dict[str, Any]) -> str:
    return f"{readable(row['bytes']):>11}B{1e3 * row['exposed_seconds']:12.2f}{1e3 * row['hidden_seconds']:11.2f}"


def _roofline(compiled: Compiled) -> str:
    roofline = compiled.roofline
    rows = [
        f"{'roofline, one chip':20}{'FLOP':>10}{'bytes':>11}{'FLOP/byte':>12}{'FLOP ms':>10}{'HBM ms':>10}{'ms':>10}"
    ]
    for operator in roofline.operators:
        intensity = operator.flops / operator.bytes if operator.bytes else 0
        rows.append(
            f"{operator.name:20}{readable(operator.flops):>10}{readable(operator.bytes):>10}B{intensity:12.0f}"
            f"{1e3 * operator.flop_seconds:10.2f}{1e3 * operator.memory_seconds:10.2f}{1e3 * operator.seconds:10.2f}"
        )
    rows.append(f"{'collectives exposed':20}{1e3 * roofline.exposed_seconds:63.2f}")
    rows.append(
        f"{'step':20}{readable(roofline.flops):>10}{readable(roofline.bytes):>10}B"
        f"{roofline.flops / roofline.bytes:12.0f}{1e3 * roofline.seconds:30.2f}"
    )
    rows.append(f"{'collectives hidden':20}{1e3 * roofline.hidden_seconds:63.2f}  not part of the step")
    rows.append(f"{PAPER_STEPS:,} steps: {roofline.hours():.1f} hours")
    return "\n".join(rows)


def _estimates(compiled: Compiled) -> str:
    estimates = compiled.estimates
    rows = [f"XLA's estimate without collectives: {1e3 * estimates.seconds:.1f} ms; by operator"]
    rows += [f"{name:20}{1e3 * seconds:10.2f}" for name, seconds in estimates.by_operator.items()]
    rows.append("the costliest instructions (ms, runs per step, result, origin)")
    for costly in estimates.costliest[:_NUM_LISTED]:
        rows.append(f"{1e3 * costly.seconds:10.2f}{costly.times:5}  {costly.shape[:40]:40}  {costly.origin[-60:]}")
    return "\n".join(rows)
