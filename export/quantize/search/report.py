"""What a search found, as tables on the terminal and as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from evaluation.terminal.tables import print_table

SHOWN = 20


def print_search(console: Console, found: Mapping[str, Any]) -> None:
    """Prints every group's sensitivity, the tried recipes, and the choice."""
    print_table(console, _groups(found))
    print_table(console, _points(found))
    limits = found["limits"]
    kept = f"mean-centred cosine >= {limits['cosine_min']}, file <= {limits['file_bytes'] / 1e6:.2f} MB"
    if found["chosen"]:
        console.print(
            f"chosen on {found['profile']}: {found['chosen']}, the fewest instructions within {kept}"
        )
    else:
        console.print(Text(f"no tried recipe keeps {kept}", style="bold red"))


def print_given_back(console: Console, name: str, found: Mapping[str, Any]) -> None:
    """Prints what an export gave back of a format's INT8, unit by unit.

    Args:
        name: the format, as users call it.
        found: `GivenBack` as a dict.
    """
    before, after = found["before"], found["after"]
    if found["units"]:
        table = Table(title=f"{name}: the units that get more precision", title_justify="left")
        for column in ("unit", "signature", "precision"):
            table.add_column(column)
        for column in ("layers", "M multiply-adds", "cosine won alone"):
            table.add_column(column, justify="right")
        for unit in found["units"]:
            gain = "not tried" if unit["gain"] is None else f"{unit['gain']:+.4f}"
            table.add_row(
                unit["name"], unit["signature"], unit["precision"], str(unit["layers"]),
                f"{unit['multiply_adds'] / 1e6:.2f}", gain,
            )  # fmt: skip
        print_table(console, table)
    console.print(
        f"{name}, {found['trials']} trials on calibration screens that set no range: worst "
        f"{before['cosine_min']:.3f} -> {after['cosine_min']:.3f}, mean {before['cosine_mean']:.3f} -> "
        f"{after['cosine_mean']:.3f}, {before['file_bytes'] / 1e6:.2f} -> {after['file_bytes'] / 1e6:.2f} MB"
    )


def _groups(found: Mapping[str, Any]) -> Table:
    table = Table(
        title="in float instead, or as said: what each group would give back, and cost",
        title_justify="left",
        caption=f"the {SHOWN} that matter most; mean-centred cosine, the mean of calibration screens",
    )
    for name in ("group", "signature"):
        table.add_column(name)
    for name in ("cosine won", "M instructions more", "kB more"):
        table.add_column(name, justify="right")
    for row in found["sensitivities"][:SHOWN]:
        table.add_row(
            row["group"], row["signature"], f"{row['gain']:+.4f}", f"{row['m_instructions']:+.3f}",
            f"{row['file_bytes'] / 1e3:+.0f}",
        )  # fmt: skip
    return table


def _points(found: Mapping[str, Any]) -> Table:
    table = Table(title=f"recipes tried on {found['profile']}", title_justify="left")
    table.add_column("recipe")
    for name in ("changed", "M instructions", "MB", "cosine worst", "mean"):
        table.add_column(name, justify="right")
    for point in found["points"]:
        style = "bold green" if point["name"] == found["chosen"] else ""
        table.add_row(
            point["name"], str(len(point["changed"])), f"{sum(point['m_instructions'].values()):.2f}",
            f"{point['file_bytes'] / 1e6:.2f}", f"{point['cosine_min']:.4f}", f"{point['cosine_mean']:.4f}",
            style=style,
        )  # fmt: skip
    return table


def draw(found: Mapping[str, Any], path: Path) -> None:
    """Draws the tried recipes: instructions against what is missing to PyTorch's embeddings."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.2), dpi=120)
    for point in found["points"]:
        x, y = sum(point["m_instructions"].values()), 1 - point["cosine_mean"]
        is_chosen = point["name"] == found["chosen"]
        axes.scatter(x, y, s=60 if is_chosen else 24, color="#0a7d34" if is_chosen else "#4477aa", zorder=3)
        axes.annotate(point["name"], (x, y), xytext=(4, 4), textcoords="offset points", fontsize=7)
    axes.set_xlabel(f"million instructions of an encode on {found['profile']}")
    axes.set_ylabel("1 - mean mean-centred cosine")
    axes.set_title("Precision recipes: cost against accuracy")
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, metadata={"Software": None})
    pyplot.close(figure)
