"""Tables as text."""

from collections.abc import Iterable, Sequence


def format_table(rows: Iterable[Sequence[str]], align: str = "<") -> list[str]:
    """Align the cells of a table in columns, two spaces apart.

    Args:
        rows: the header, if any, and the rows, with equal numbers of cells.
        align: `<` (left) or `>` (right) for each column; the last one applies to all further columns.

    Returns:
        Lines without trailing spaces.
    """
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sides = align + align[-1] * len(widths)
    return [
        "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=False)).rstrip()
        for row in rows
    ]
