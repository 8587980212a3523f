"""The progress bar of commands that run engines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from runtime.terminal import quiet_engine


@contextmanager
def engine_progress(begin: str) -> Iterator[Callable[[int, int, str], None]]:
    """Shows a bar on standard error, while what the engines write there is held back.

    Args:
        begin: what runs first.

    Yields:
        A callback that takes steps done, steps in all, and what runs.
    """
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), TimeElapsedColumn())
    with quiet_engine() as stderr:
        console = Console(file=stderr)
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task(begin, total=None)

            def on_progress(done: int, total: int, what: str) -> None:
                progress.update(task, completed=done, total=total, description=what)

            yield on_progress
