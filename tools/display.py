"""Tables on a terminal and in a pipe. The only importer of rich, and only when standard output is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TextIO


def table(
    headers: Sequence[str],
    rows: Iterable[Sequence[object]],
    numeric: Sequence[int] = (),
    stream: TextIO | None = None,
) -> None:
    """Print rows under headers; columns whose index is in `numeric` are right-aligned.

    On a terminal a rich table, elsewhere plain columns without colour, two blanks apart.
    """
    out = stream or sys.stdout
    cells = [[str(cell) for cell in row] for row in rows]
    if out.isatty():
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        drawn = Table(box=None, pad_edge=False, header_style="bold")
        for index, header in enumerate(headers):
            drawn.add_column(header, justify="right" if index in numeric else "left", no_wrap=False)
        for row in cells:
            drawn.add_row(*(Text(cell) for cell in row))
        Console(file=out, highlight=False).print(drawn)
        return
    for line in columns(headers, cells, numeric):
        out.write(line + "\n")


def columns(headers: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[int] = ()) -> list[str]:
    """The table as plain lines."""
    widths = [max([len(header), *(len(row[i]) for row in rows)]) for i, header in enumerate(headers)]
    lines = []
    for row in [list(headers), *rows]:
        parts = [
            cell.rjust(width) if index in numeric else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(parts).rstrip())
    return lines
