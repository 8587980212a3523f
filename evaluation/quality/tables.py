"""A quality report as tables of texts, for the terminal, the report and the documentation alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table as RichTable
from rich.text import Text

from evaluation.quality.measure import FIGURES
from evaluation.quality.outputs import CONDITIONS
from evaluation.quality.split import SPLITS
from runtime.bundle import REGION_NAMES

NAMES = {"r1": "R@1", "r5": "R@5", "mrr": "MRR"}
ENGINE_NAMES = {"tflite": "TFLite", "onnx": "ONNX"}
GIVEN = {"all": "everything", "no screen": "no screen", "no text": "no text", "no user": "no user"}
FIDELITY_FIGURES = {"worst": "worst", "p1": "1st percentile", "p5": "5th percentile", "mean": "mean"}
RANDOM = "random weights"


@dataclass(frozen=True)
class Table:
    """A title, column names, and rows of texts; the first column names the row."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def tables(report: Mapping[str, Any]) -> list[Table]:
    """All tables of a report, the most important first."""
    shipped = _shipped(report)
    return [*figure_tables(report), *(confusion_table(shipped, split) for split in SPLITS)]


def figure_tables(report: Mapping[str, Any]) -> list[Table]:
    """All tables but those of confusions, the most important first."""
    shipped = _shipped(report)
    return [
        inputs_table(report, shipped),
        engines_table(report),
        *([fidelity_table(report)] if any(row["fidelity"] for row in report["engines"]) else []),
        *([regions_table(report)] if shipped.get("regions", {}).get(SPLITS[0]) else []),
    ]


def _shipped(report: Mapping[str, Any]) -> Mapping[str, Any]:
    return next((row for row in report["engines"] if row["precision"] == "int8"), report["engines"][0])


def rich_table(table: Table) -> RichTable:
    """A table as the terminal prints it."""
    shown = RichTable(title=table.title, title_justify="left")
    for index, name in enumerate(table.header):
        shown.add_column(name, justify="right" if index else "left")
    for row in table.rows:
        shown.add_row(*map(Text, row))
    return shown


def engine_name(row: Mapping[str, Any]) -> str:
    """An engine and its precision as people read them."""
    return f"{ENGINE_NAMES[row['engine']]} {row['precision'].upper()}"


def inputs_table(report: Mapping[str, Any], row: Mapping[str, Any]) -> Table:
    """What the encoder is given, and what it then reaches."""
    header = ("given", "R@1 test", "R@5 test", "MRR test", "R@1 unseen kit", "class test", "class unseen kit")
    lines = [_inputs_line(GIVEN[condition], row, condition) for condition in CONDITIONS]
    if report["random"]:
        lines.append(_inputs_line(RANDOM, report["random"], "all"))
    title = f"Accuracy by input ({engine_name(row)}; %, with 95 % intervals)"
    return Table(title, header, tuple(lines))


def _inputs_line(name: str, row: Mapping[str, Any], condition: str) -> tuple[str, ...]:
    test, unseen = (row["retrieval"][split][condition] for split in SPLITS)
    kinds = (row["screen_class"][split]["accuracy"][condition] for split in SPLITS)
    means = (f"{100 * test[figure][0]:.1f}" for figure in ("r5", "mrr"))
    return (name, interval(test["r1"]), *means, interval(unseen["r1"]), *map(interval, kinds))


def engines_table(report: Mapping[str, Any]) -> Table:
    """Every figure of every engine."""
    engines: Sequence[Mapping[str, Any]] = report["engines"]
    lines: list[tuple[str, ...]] = []
    for split in SPLITS:
        for figure in FIGURES:
            values = (row["retrieval"][split]["all"][figure][0] for row in engines)
            lines.append((f"{NAMES[figure]} {_plain(split)}", *map(figure_text, values)))
    for split in SPLITS:
        values = (row["screen_class"][split]["accuracy"]["all"][0] for row in engines)
        lines.append((f"screen class, zero-shot, {_plain(split)}", *map(figure_text, values)))
    lines += [
        ("text tower's Spearman with MiniLM", *(figure_text(row["spearman"]) for row in engines)),
        ("mean pairwise cosine of screens", *(figure_text(row["mean_pairwise_cosine"]) for row in engines)),
        (
            "mean-centred cosine with PyTorch, worst",
            *(figure_text(row["mean_centred_cosine"]["min"]) for row in engines),
        ),
        (
            "mean-centred cosine with PyTorch, mean",
            *(figure_text(row["mean_centred_cosine"]["mean"]) for row in engines),
        ),
        ("accuracy retention, worst", *(_kept(row) for row in engines)),
    ]
    return Table("Accuracy by engine", ("figure", *map(engine_name, engines)), tuple(lines))


def fidelity_table(report: Mapping[str, Any]) -> Table:
    """How near INT8 is to float over every screen and every text of the test split."""
    header = ("", "n", *FIDELITY_FIGURES.values(), "the worst one")
    lines = tuple(
        (
            f"{engine_name(row)}, {_plain(name)}",
            str(found["n"]),
            *(figure_text(found[figure]) for figure in FIDELITY_FIGURES),
            found["worst_sample"],
        )
        for row in report["engines"]
        for name, found in (row["fidelity"] or {}).items()
    )
    return Table("INT8 against float: mean-centred cosine over the whole test split", header, lines)


def _kept(row: Mapping[str, Any]) -> str:
    if row["retention"] is None:
        return "-"
    name, share = min(row["retention"].items(), key=lambda item: item[1])
    return f"{100 * share:.1f} % ({_plain(name)})"


def regions_table(report: Mapping[str, Any]) -> Table:
    """How well the masks of every engine lie on the boxes that the screens were drawn with."""
    lines = tuple(
        (
            f"{engine_name(row)}, {_plain(split)}",
            *(figure_text(row["regions"][split][name]) for name in ("mean", *REGION_NAMES)),
        )
        for row in report["engines"]
        for split in SPLITS
    )
    return Table("Masks of the regions: mean IoU with the drawn boxes", ("", "all", *REGION_NAMES), lines)


def confusion_table(row: Mapping[str, Any], split: str) -> Table:
    """Which screen class is taken for which."""
    kinds, counts = row["screen_class"][split]["kinds"], row["screen_class"][split]["confusion"]
    lines = tuple((kind, *map(str, line)) for kind, line in zip(kinds, counts, strict=True))
    return Table(
        f"Screen class, {_plain(split)}: true in rows, nearest caption in columns", ("", *kinds), lines
    )


def interval(figure: Sequence[float]) -> str:
    """A share with its interval, in percent."""
    value, low, high = (100 * number for number in figure)
    return f"{value:.1f} [{low:.1f}, {high:.1f}]"


def figure_text(value: float | None) -> str:
    """A figure with three digits, or a dash; those that would round up to 1 keep what sets them apart."""
    if value is None:
        return "-"
    return f"{value:.3f}" if value < 0.9995 or value == 1 else f"{value:.6f}"


def _plain(name: str) -> str:
    for figure, shown in NAMES.items():
        name = name.replace(f"{figure} ", f"{shown} ")
    return name.replace("_", " ")
