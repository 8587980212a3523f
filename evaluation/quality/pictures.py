"""Pictures of what was measured: a map of embeddings, ranked examples, failures, and INT8 beside float."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from matplotlib.patches import Rectangle
from PIL import Image

from calibration_data.region_cells import region_boxes
from calibration_data.samples import Sample
from evaluation.quality.measure import REFERENCE, SHIPPED, scores, screen_cosines
from evaluation.quality.outputs import Outputs, Work
from evaluation.quality.projection import tsne
from evaluation.quality.split import SPLITS, TestSplit
from runtime.metrics import right_ranks

DPI = 110
MARKERS = ("o", "s", "^", "D", "v", "P")
EXAMPLES, SHOWN = 6, 5
MASK_COLOURS = ("#e5484d", "#30a46c", "#3e63dd", "#f5a623")
"""Of title, input field, keyboard and status bar."""
WORST = 5
ENGINE_COLOURS = {"tflite": "#3e63dd", "onnx": "#f5a623"}
_RIGHT, _WRONG, _INK, _MUTED = "#2f8f5b", "#a9b4c6", "#1d2330", "#667085"
_LETTERS = 58


@dataclass(frozen=True)
class Ranking:
    """One sample's best candidates.

    Attributes:
        row: of the sample.
        rank: place of the right candidate.
        best: (text, score, right) of the first few.
        right: the right candidate and its score.
    """

    row: int
    rank: int
    best: tuple[tuple[str, float, bool], ...]
    right: tuple[str, float]


def draw_pictures(
    split: TestSplit, work: Work, engines: Mapping[tuple[str, str], Outputs]
) -> dict[str, bytes]:
    """Draws all pictures.

    Args:
        split: the test split.
        work: what the engines were given.
        engines: what each engine made of it: REFERENCE and SHIPPED, which is shown, at least.

    Returns:
        `map`, `fidelity`, `examples`, `failures` and `regions` as WebP files; the last three are left out
        where there is nothing to show.
    """
    outputs = engines[SHIPPED]
    rankings = rank_all(split, work, outputs)
    chosen = {"examples": pick_examples(split, rankings), "failures": pick_failures(rankings)}
    pictures = {
        "map": _webp(draw_map(split, work, outputs)),
        "fidelity": _webp(draw_fidelity(split, work, engines)),
    }
    if outputs.masks.size:
        pictures["regions"] = _webp(draw_regions(split, work, outputs.masks))
    return pictures | {n: _webp(draw_rankings(split, work, found)) for n, found in chosen.items() if found}


def rank_all(split: TestSplit, work: Work, outputs: Outputs) -> list[Ranking]:
    """The rankings of the test split's samples that the pictures' font can show."""
    rows = split.rows("test")
    values = scores(outputs, work, 0, rows)
    found = []
    for row, line, rank in zip(rows, values, right_ranks(values), strict=True):
        texts = [work.texts[place] for place in work.candidates[row]]
        order = np.argsort(-line, kind="stable")[:SHOWN]
        best = tuple((texts[place], float(line[place]), place == 0) for place in order)
        if all(map(_printable, (split.samples[row].text, texts[0], *(text for text, _, _ in best)))):
            found.append(Ranking(int(row), int(rank), best, (texts[0], float(line[0]))))
    return found


def pick_examples(split: TestSplit, rankings: Sequence[Ranking]) -> list[Ranking]:
    """The first sample of each kind that is ranked right, of those with a typed text before the others."""
    chosen: dict[str, Ranking] = {}
    for ranking in sorted(rankings, key=lambda ranking: not split.samples[ranking.row].text):
        if ranking.rank == 1:
            chosen.setdefault(split.samples[ranking.row].kind, ranking)
    return [chosen[kind] for kind in sorted(chosen)][:EXAMPLES]


def pick_failures(rankings: Sequence[Ranking]) -> list[Ranking]:
    """The samples whose right candidate lies the furthest behind the first."""
    wrong = [ranking for ranking in rankings if ranking.rank > 1]
    return sorted(wrong, key=lambda ranking: ranking.right[1] - ranking.best[0][1])[:EXAMPLES]


def draw_map(split: TestSplit, work: Work, outputs: Outputs) -> Figure:
    """Every screen's embedding as a point: colour is its kind, shape its kit; some with their screens."""
    places = tsne(outputs.embeddings[0])
    kinds, kits = (sorted({getattr(s, key) for s in split.samples}) for key in ("kind", "kit"))
    figure = Figure((10.5, 7.5), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.set(xticks=[], yticks=[])
    colours = {kind: f"C{index}" for index, kind in enumerate(kinds)}
    markers = {kit: MARKERS[index % len(MARKERS)] for index, kit in enumerate(kits)}
    groups = np.array([f"{sample.kind}/{sample.kit}" for sample in split.samples])
    for kind in kinds:
        for kit in kits:
            points = places[groups == f"{kind}/{kit}"]
            axes.scatter(*points.T, s=22, marker=markers[kit], color=colours[kind], linewidths=0)
    for row in _representatives(split, places, kinds):
        thumbnail = OffsetImage(work.images[row], zoom=0.24)
        colour = colours[split.samples[row].kind]
        side = 18 if split.samples[row].split == "test" else -18
        box = AnnotationBbox(
            thumbnail, places[row], (side, 0), boxcoords="offset points", pad=0.12,
            bboxprops={"edgecolor": colour, "lw": 1.5},
        )  # fmt: skip
        axes.add_artist(box)
    handles = [axes.scatter([], [], color=colours[kind], label=kind) for kind in kinds]
    handles += [axes.scatter([], [], color=_MUTED, marker=markers[kit], label=kit or "kit") for kit in kits]
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=len(handles),
        frameon=False,
        fontsize=9,
        columnspacing=0.9,
        handletextpad=0.1,
    )
    return figure


def _representatives(split: TestSplit, places: np.ndarray, kinds: Sequence[str]) -> list[int]:
    """Of each kind the screen in the middle of its points, in both splits."""
    found = []
    for name in ("test", "unseen_kit"):
        for kind in kinds:
            rows = [row for row in split.rows(name) if split.samples[row].kind == kind]
            if rows:
                middle = np.median(places[rows], axis=0)
                found.append(rows[int(np.square(places[rows] - middle).sum(axis=1).argmin())])
    return found


def draw_fidelity(split: TestSplit, work: Work, engines: Mapping[tuple[str, str], Outputs]) -> Figure:
    """Mean-centred cosines of INT8 with float, sorted, and the screens where the shipped file is worst."""
    figure = Figure((12.5, 3.6), dpi=DPI, layout="constrained")
    grid = figure.add_gridspec(1, 1 + WORST, width_ratios=[6] + [1] * WORST)
    axes = figure.add_subplot(grid[0, 0])
    for (engine, precision), outputs in engines.items():
        if precision == "int8":
            cosines = screen_cosines(outputs, engines[REFERENCE])
            for name, style in zip(SPLITS, ("-", "--"), strict=True):
                values = np.sort(cosines[split.rows(name)])
                shares = 100 * np.arange(1, len(values) + 1) / len(values)
                label = f"{engine} int8, {name}"
                axes.plot(shares, values, style, color=ENGINE_COLOURS[engine], label=label)
    axes.set(
        xscale="log", xlabel="% of the screens, the worst first", ylabel="mean-centred cosine with float"
    )
    axes.set_xticks(ticks := [0.2, 0.5, 1, 5, 20, 100], [f"{tick:g}" for tick in ticks])
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    cosines = screen_cosines(engines[SHIPPED], engines[REFERENCE])
    for place, row in enumerate(np.argsort(cosines, kind="stable")[:WORST]):
        screen = figure.add_subplot(grid[0, 1 + place])
        screen.imshow(work.images[row], interpolation="lanczos")
        screen.set_title(f"{cosines[row]:.3f}", fontsize=9, color=_INK)
        screen.set_axis_off()
    return figure


def draw_rankings(split: TestSplit, work: Work, rankings: Sequence[Ranking]) -> Figure:
    """Screens, what was typed, and the best candidates with their scores as bars; the right one is green."""
    columns = 2
    lines = -(-len(rankings) // columns)
    figure = Figure((12.5, 2.5 * lines), dpi=DPI, layout="constrained")
    grid = figure.add_gridspec(lines, 2 * columns, width_ratios=[1, 4.2] * columns)
    for number, ranking in enumerate(rankings):
        line, column = divmod(number, columns)
        screen = figure.add_subplot(grid[line, 2 * column])
        screen.imshow(work.images[ranking.row], interpolation="lanczos")
        screen.set_axis_off()
        _draw_bars(figure.add_subplot(grid[line, 2 * column + 1]), split.samples[ranking.row], ranking)
    return figure


def draw_regions(split: TestSplit, work: Work, masks: np.ndarray) -> Figure:
    """Screens, one of each kind in both splits, under their masks and the outlines of the drawn boxes."""
    kinds = sorted({sample.kind for sample in split.samples})
    figure = Figure((1.75 * len(kinds), 7.2), dpi=DPI, layout="constrained")
    for line, name in enumerate(SPLITS):
        for column, kind in enumerate(kinds):
            axes = figure.add_subplot(2, len(kinds), line * len(kinds) + column + 1)
            axes.set_axis_off()
            rows = [row for row in split.rows(name) if split.samples[row].kind == kind]
            if rows:
                axes.set_title(f"{kind}\n{name}", fontsize=8, color=_MUTED)
                _draw_masks(axes, work.images[rows[0]], split.samples[rows[0]], masks[rows[0]])
    return figure


def _draw_masks(axes: Axes, image: np.ndarray, sample: Sample, masks: np.ndarray) -> None:
    height, width = image.shape[:2]
    axes.imshow(image, interpolation="lanczos")
    for colour, mask, box in zip(MASK_COLOURS, masks, region_boxes(sample), strict=True):
        sheet = np.broadcast_to(to_rgba(colour), (*mask.shape, 4)).copy()
        sheet[..., 3] = 0.6 * mask
        axes.imshow(sheet, extent=(0, width, height, 0), interpolation="bilinear")
        present, x, y, w, h = box
        if present:
            outline = Rectangle((x * width, y * height), w * width, h * height, fill=False, color=colour)
            axes.add_patch(outline)
    axes.set(xlim=(0, width), ylim=(height, 0))


def _draw_bars(axes: Axes, sample: Sample, ranking: Ranking) -> None:
    bars = list(ranking.best)
    if ranking.rank > len(bars):
        bars.append((f"{ranking.rank}. {ranking.right[0]}", ranking.right[1], True))
    top = max([value for _, value, _ in bars] + [0.01])
    for place, (text, value, right) in enumerate(bars):
        colour = _RIGHT if right else _WRONG
        axes.barh(place, max(value, 0) / top, 0.34, color=colour, align="edge")
        axes.text(
            0, place - 0.08, _cut(text), fontsize=8.5, color=colour if right else _INK, parse_math=False
        )
        axes.text(1.01, place + 0.17, f"{value:.2f}", fontsize=8, color=_MUTED, va="center")
    typed = f"typed: {_cut(sample.text, keep_end=True)}" if sample.text else "nothing typed"
    shown = f"{sample.kind}, {sample.user_style} user, {typed}"
    axes.set_title(shown, fontsize=9, loc="left", color=_MUTED, parse_math=False)
    axes.set(xlim=(0, 1.12), ylim=(len(bars) - 0.4, -0.7))
    axes.set_axis_off()


def _cut(text: str, *, keep_end: bool = False) -> str:
    if len(text) <= _LETTERS:
        return text
    return "…" + text[1 - _LETTERS :] if keep_end else text[: _LETTERS - 1] + "…"


def _printable(text: str) -> bool:
    """Whether the pictures' font has every letter, and all run from left to right."""
    font = get_font(findfont("DejaVu Sans"))
    sides = {unicodedata.bidirectional(letter) for letter in text}
    return not sides & {"R", "AL"} and all(font.get_char_index(ord(letter)) for letter in text)


def _webp(figure: Figure) -> bytes:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB").save(
        buffer, "WEBP", quality=82, method=6
    )
    return buffer.getvalue()
