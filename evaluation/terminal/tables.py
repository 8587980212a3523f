"""Consoles and tables of any width: no name is ever cut."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

WIDTH = 128  # where no terminal says


def open_console(*, stderr: bool = False) -> Console:
    """Returns a console as wide as the terminal; what goes to a file or a pipe is WIDTH columns wide."""
    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=WIDTH)


def print_table(console: Console, table: Table) -> None:
    """Prints a table, its headers folded where it fits so; else each row as its name and a list below it."""
    headers = [" ".join(str(column.header).split()) for column in table.columns]
    if not _fits(console, table):
        for column, header in zip(table.columns, headers, strict=True):
            column.header = header.replace(" ", "\n")
    if _fits(console, table):
        console.print(table)
        return
    if table.title:
        console.print(Text(str(table.title), style="italic"))
    cells = zip(*([_plain(cell) for cell in column.cells] for column in table.columns), strict=True)
    for row, (name, *values) in zip(table.rows, cells, strict=True):
        named = zip(headers[1:], values, strict=True)
        listed = " · ".join(f"{header} {value}" for header, value in named if header and value)
        console.print(Text(name, style=f"bold {row.style or ''}"))
        console.print(Padding(Text(listed), (0, 0, 0, 2)))
    if table.caption:
        console.print(Text(str(table.caption), style="dim"))


def _fits(console: Console, table: Table) -> bool:
    """Whether no cell has to be folded or cut."""
    return Measurement.get(console, console.options.update(width=10_000), table).maximum <= console.width


def _plain(cell: Any) -> str:
    return cell.plain if isinstance(cell, Text) else str(cell)
