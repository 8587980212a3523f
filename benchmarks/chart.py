"""The comparison as bars: bytes on disk and instructions side by side, ours highlighted."""

from __future__ import annotations

from pathlib import Path

from benchmarks.compare import Comparison
from benchmarks.rows import OURS, Row
from runtime.files import write_atomically

_OURS, _PEER, _INK, _MUTED = "#2f6fde", "#c3c9d4", "#1d2330", "#667085"


def write_chart(found: Comparison, path: Path) -> None:
    """Writes a PNG of the rows that have files; a row without a count has no bar on the right."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = [row for row in found.rows if row.file_bytes is not None]
    figure = Figure(figsize=(11, 1.5 + 0.36 * len(rows)), dpi=160, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, sharey=True)
    sizes = {row.name: row.file_bytes / 1e6 for row in rows}
    counts = {row.name: row.m_instructions for row in rows}
    _bars(left, rows, sizes, "on disk", "MB")
    _bars(right, rows, counts, f"whole encode on an emulated {found.profile}", "M instructions")
    left.set_yticks(range(len(rows)), [row.name for row in rows])
    for label, row in zip(left.get_yticklabels(), rows, strict=True):
        label.set_color(_OURS if row.name == OURS else _INK)
        label.set_fontweight("bold" if row.name == OURS else "normal")
    left.invert_yaxis()
    figure.suptitle(
        f"The same weights by other tools ({found.preset}); lower is better",
        x=0.01, ha="left", fontsize=13, color=_INK,
    )  # fmt: skip
    write_atomically(path, lambda file: figure.savefig(file, format="png", metadata={"Software": None}))


def _bars(axes, rows: list[Row], values: dict[str, float | None], title: str, unit: str) -> None:
    longest = max((value for value in values.values() if value is not None), default=1.0)
    for place, row in enumerate(rows):
        value, colour = values[row.name], _OURS if row.name == OURS else _PEER
        axes.barh(place, value or 0.0, color=colour, height=0.66)
        shown = "-" if value is None else f"{value:.1f}"
        bold = "bold" if row.name == OURS else "normal"
        axes.text((value or 0.0) + longest * 0.012, place, shown, va="center", fontsize=9, color=_INK,
                  fontweight=bold)  # fmt: skip
    axes.set_title(f"{title}, {unit}", loc="left", fontsize=10, color=_MUTED)
    axes.set_xlim(0, longest * 1.12)
    axes.set_xticks([])
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
