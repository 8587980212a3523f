"""Draws a benchmark as a PNG of horizontal bars, with Pillow alone."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from .bench import LatencyRow, MemoryResult
from .errors import InputError
from .files import write_atomically

_SCALE = 2  # drawn large and kept so: sharp on dense screens
_WIDTH, _MARGIN, _LABEL_WIDTH, _VALUE_WIDTH = 1120, 40, 118, 92
_BAR, _BAR_GAP, _GROUP_GAP = 20, 4, 22
_TITLE_HEIGHT, _PANEL_HEAD, _GUTTER = 92, 64, 56
_INK, _MUTED, _GRID, _PAPER = "#1d2330", "#667085", "#e6e9ef", "#ffffff"
_STRONG, _SOFT = "#2f6fde", "#a9c6f7"
_WARM, _PALE = "#e0762f", "#f6cfae"
_TITLES = {"tflite": "LiteRT", "onnx": "ONNX Runtime"}


@dataclass(frozen=True)
class _Panel:
    """A group of bars a model: each bar a value, and a whisker's end or None."""

    title: str
    subtitle: str
    unit: str
    series: tuple[tuple[str, str], ...]  # name, colour
    groups: tuple[tuple[str, tuple[tuple[float, float | None], ...]], ...]


def write_chart(
    path: str | os.PathLike, latency: Sequence[LatencyRow], memory: Sequence[MemoryResult], title: str
) -> None:
    """Writes the chart: latency of a screen and of a keystroke on one thread, and memory against file size.

    Args:
        path: The PNG file, replaced whole.
        latency: Rows of `bench.measure`.
        memory: Results of `bench.measure`.
        title: A line above the panels.

    Raises:
        InputError: The name does not end in .png, or its folder does not exist.
    """
    check_chart_path(path)
    panels = [_latency_panel(latency)]
    if any(result.private_bytes is not None for result in memory):
        panels.append(_memory_panel(memory))
    image = _draw(panels, title)
    write_atomically(path, lambda stream: image.save(stream, "PNG", optimize=True))


def check_chart_path(path: str | os.PathLike) -> None:
    """Refuses a chart's path before anything is measured.

    Raises:
        InputError: The name does not end in .png, or its folder does not exist.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise InputError(f"{path}: the chart is a PNG: let its name end in .png")
    if not path.parent.is_dir():
        raise InputError(f"{path.parent}: no such folder for the chart")


def _latency_panel(latency: Sequence[LatencyRow]) -> _Panel:
    rows = {(row.engine, row.precision, row.stage): row for row in latency if row.threads == 1}
    groups = []
    for engine, precision in dict.fromkeys((e, p) for e, p, stage in rows if stage == "encode"):
        pair = [rows[engine, precision, stage] for stage in ("encode", "keystroke")]
        groups.append((_label(engine, precision), tuple((row.p50_ms, row.p90_ms) for row in pair)))
    series = (("new screen: vision + text + fuse", _STRONG), ("keystroke: text + fuse", _SOFT))
    return _Panel("Latency", "one thread, median; the whisker ends at p90", "ms", series, tuple(groups))


def _memory_panel(memory: Sequence[MemoryResult]) -> _Panel:
    groups = tuple(
        (_label(m.engine, m.precision), ((m.private_bytes / 1e6, None), (m.file_bytes / 1e6, None)))
        for m in memory
        if m.private_bytes is not None
    )
    series = (("private memory added", _WARM), ("size of the files", _PALE))
    return _Panel("Memory", "loading and running, over the imported engine", "MB", series, groups)


def _label(engine: str, precision: str) -> str:
    return f"{_TITLES.get(engine, engine)}\n{precision.upper()}"


def _group_height(panel: _Panel) -> int:
    return len(panel.series) * (_BAR + _BAR_GAP) - _BAR_GAP + _GROUP_GAP


def _draw(panels: Sequence[_Panel], title: str) -> Image.Image:
    tallest = max(_PANEL_HEAD + len(panel.groups) * _group_height(panel) for panel in panels)
    height = _TITLE_HEIGHT + tallest - _GROUP_GAP + _MARGIN
    image = Image.new("RGB", (_WIDTH * _SCALE, height * _SCALE), _PAPER)
    canvas = _Canvas(ImageDraw.Draw(image))
    canvas.text(_MARGIN, 30, title, 22, _INK)
    canvas.text(_MARGIN, 60, "Lower is better.", 13, _MUTED)
    width = (_WIDTH - 2 * _MARGIN - _GUTTER * (len(panels) - 1)) / len(panels)
    for number, panel in enumerate(panels):
        _draw_panel(canvas, panel, _MARGIN + number * (width + _GUTTER), width)
    return image


def _draw_panel(canvas: "_Canvas", panel: _Panel, left: float, width: float) -> None:
    top = _TITLE_HEIGHT
    canvas.text(left, top, panel.title, 16, _INK)
    canvas.text(left + canvas.width(panel.title, 16) + 10, top + 3, panel.subtitle, 12, _MUTED)
    cursor = left
    for name, colour in panel.series:
        canvas.bar(cursor, top + 29, 12, 12, colour)
        canvas.text(cursor + 18, top + 28, name, 12, _INK)
        cursor += 18 + canvas.width(name, 12) + 20
    bars_left, bars_width = left + _LABEL_WIDTH, width - _LABEL_WIDTH - _VALUE_WIDTH
    values = [end for _, bars in panel.groups for bar in bars for end in bar if end is not None]
    scale = bars_width / (max(values, default=0) or 1)
    y = top + _PANEL_HEAD
    bottom = y + len(panel.groups) * _group_height(panel) - _GROUP_GAP
    canvas.line(bars_left, y - 6, bars_left, bottom + 6, _GRID)
    for label, bars in panel.groups:
        canvas.text(left, y + 4, label, 13, _INK)
        for (_, colour), (value, whisker) in zip(panel.series, bars, strict=True):
            length = max(value * scale, 1)
            canvas.bar(bars_left, y, length, _BAR, colour)
            end = bars_left + length
            if whisker is not None:
                tip = bars_left + whisker * scale
                canvas.line(end, y + _BAR / 2, tip, y + _BAR / 2, _INK)
                canvas.line(tip, y + 5, tip, y + _BAR - 5, _INK)
                end = max(end, tip)
            canvas.text(end + 8, y + 3, f"{_figure(value)} {panel.unit}", 13, _INK)
            y += _BAR + _BAR_GAP
        y += _GROUP_GAP - _BAR_GAP


def _figure(value: float) -> str:
    """Three significant digits, plain."""
    return f"{value:.3f}" if value < 0.1 else f"{value:.2f}" if value < 10 else f"{value:.1f}"


class _Canvas:
    """Draws in unscaled pixels."""

    def __init__(self, draw: ImageDraw.ImageDraw) -> None:
        self._draw = draw
        self._fonts: dict[int, ImageFont.ImageFont | ImageFont.FreeTypeFont] = {}

    def _font(self, size: int):
        if size not in self._fonts:
            self._fonts[size] = ImageFont.load_default(size * _SCALE)
        return self._fonts[size]

    def text(self, x: float, y: float, text: str, size: int, colour: str) -> None:
        """Text with its upper left corner at x, y."""
        place = (x * _SCALE, y * _SCALE)
        self._draw.multiline_text(place, text, colour, self._font(size), spacing=6 * _SCALE)

    def width(self, text: str, size: int) -> float:
        """How wide a text is."""
        return self._draw.textlength(text, self._font(size)) / _SCALE

    def bar(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        """A filled bar."""
        self._draw.rectangle([value * _SCALE for value in (x, y, x + width, y + height)], colour)

    def line(self, x1: float, y1: float, x2: float, y2: float, colour: str) -> None:
        """A thin line."""
        self._draw.line([value * _SCALE for value in (x1, y1, x2, y2)], colour, _SCALE)
