"""The ablation as points: instructions against bytes, and against quality; presets highlighted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.ablation.results import Result, front
from benchmarks.ablation.rows import PRESET
from benchmarks.ablation.tables import quality_points, size_points
from runtime.files import write_atomically

_PLACES = [(8.0, 3.0)] + [(12.0, 3.0 + sign * 9.0 * step) for step in range(1, 20) for sign in (1, -1)]
"""Offsets of a name from its point, tried in turn, in points."""
_PRESET, _OTHER, _FRONT, _INK, _MUTED = "#2f6fde", "#98a2b3", "#f0a202", "#1d2330", "#667085"


def write_chart(results: Sequence[Result], path: Path) -> bool:
    """Writes a PNG, with a panel of quality where a row has any; False where nothing was counted."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    sizes = {name: (cost, bytes_ / 1e6) for name, (cost, bytes_) in size_points(results).items()}
    losses = {name: (cost, 100 * (1 - loss)) for name, (cost, loss) in quality_points(results).items()}
    if not sizes:
        return False
    panels = [(sizes, "encoder.tflite, MB", front(sizes))]
    if losses:
        panels.append((losses, "right text first among 200 (R@1), %", front(quality_points(results))))
    figure = Figure(figsize=(6.5 * len(panels), 5.2), dpi=160, layout="constrained")
    FigureCanvasAgg(figure)
    presets = {result.name for result in results if result.kind == PRESET}
    for axes, (points, title, best) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
    ):
        _panel(axes, points, best, presets)
        axes.set_title(title, loc="left", fontsize=11, color=_INK)
    sizes_axes = figure.axes[0]
    sizes_axes.set_yscale("log")
    sizes_axes.yaxis.set_major_formatter("{x:g}")
    sizes_axes.yaxis.set_minor_formatter("")
    sizes_axes.set_yticks(_ticks(*sizes_axes.get_ylim()))
    figure.draw_without_rendering()  # where names overlap is known once the axes have their places
    for axes, (points, _, _) in zip(figure.axes, panels, strict=True):
        _name_points(axes, points, presets)
    write_atomically(path, lambda file: figure.savefig(file, format="png", metadata={"Software": None}))
    return True


def _panel(axes, points: Mapping[str, tuple[float, float]], best: list[str], presets: set[str]) -> None:
    line = zip(*(points[name] for name in best), strict=True)
    axes.plot(*line, color=_FRONT, linewidth=1.5, marker="o", markersize=12, fillstyle="none", zorder=1,
              label="none is better in both")  # fmt: skip
    for name, (cost, value) in points.items():
        colour, size = (_PRESET, 64) if name in presets else (_OTHER, 30)
        axes.scatter(cost, value, s=size, color=colour, zorder=3 if name in presets else 2)
    axes.set_xlabel(
        "million instructions of a whole encode on the emulated target phone", color=_MUTED, fontsize=9
    )
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")
    axes.tick_params(labelsize=8, colors=_MUTED, which="both")
    axes.margins(x=0.2, y=0.12)
    low, high = axes.get_xlim()
    axes.set_xlim(low, high * 2)  # names stand to the right of their points
    axes.set_xticks(_ticks(*axes.get_xlim()))
    axes.legend(loc="lower right", frameon=False, fontsize=8, labelcolor=_MUTED)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _ticks(low: float, high: float) -> list[float]:
    steps = (number * 10.0**power for power in range(4) for number in (1, 2, 3, 5))
    return [step for step in steps if low <= step <= high]


def _name_points(axes, points: Mapping[str, tuple[float, float]], presets: set[str]) -> None:
    """Names each point beside it, or farther off with a line to it, if another name stands there."""
    placed = []
    for name in sorted(points, key=lambda name: (name not in presets, points[name])):
        preset = name in presets
        text = axes.annotate(
            _short(name), points[name], xytext=(8, 3), textcoords="offset points",
            fontsize=8 if preset else 7, color=_INK if preset else _MUTED,
            fontweight="bold" if preset else "normal",
        )  # fmt: skip
        text.set_in_layout(False)
        for place in _PLACES:
            text.xyann = place
            if not any(text.get_window_extent().overlaps(other) for other in placed):
                break
        placed.append(text.get_window_extent())
        if text.xyann != _PLACES[0]:
            line = {"arrowstyle": "-", "color": _OTHER, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 3}
            axes.annotate("", points[name], xytext=text.xyann, textcoords="offset points", arrowprops=line)


def _short(name: str) -> str:
    """The option without its slot and its owner: more does not fit into the picture."""
    return name.rpartition("=")[2].rpartition("/")[2]
