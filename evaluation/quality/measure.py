"""From engines' outputs to figures: retrieval, kinds by caption, the text tower, and what INT8 keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from calibration_data.region_cells import region_boxes, region_ious
from evaluation.quality import baseline
from evaluation.quality.candidates import CANDIDATES, SIBLINGS
from evaluation.quality.metrics import bootstrap, pairwise_cosines, spearman, tail, wilson
from evaluation.quality.outputs import CONDITIONS, Models, OnProgress, Outputs, Work, prepare, run_all
from evaluation.quality.split import SPLITS, TestSplit
from runtime.bundle import REGION_NAMES
from runtime.metrics import mean_centred_cosine, mean_pairwise_cosine, right_ranks

ENGINES = (("tflite", "fp32"), ("tflite", "int8"), ("onnx", "fp32"), ("onnx", "int8"))
REFERENCE, SHIPPED = ENGINES[0], ENGINES[1]
FIGURES = ("r1", "r5", "mrr")
"""Of retrieval: the right target is first, among the first five, and the mean of 1 / its place."""


def measure(
    models: Models,
    split: TestSplit,
    engines: Sequence[tuple[str, str]] = ENGINES,
    on_progress: OnProgress = lambda done, total, what: None,
) -> tuple[dict[str, Any], Work, dict[tuple[str, str], Outputs]]:
    """Measures engines on a test split.

    Args:
        models: the exported files.
        split: the test split.
        engines: (engine, precision) pairs; REFERENCE is always run too.
        on_progress: called with runs done, runs in all, and the engine.

    Returns:
        The report as the manifest holds it, and what it was made of.

    Raises:
        InputError: a screen cannot be read, there are not enough candidates, or an engine is missing.
    """
    chosen = [engine for engine in ENGINES if engine in (REFERENCE, *engines)]
    work = prepare(models, split)
    outputs = run_all(models, work, chosen, split.sha256, on_progress)
    rows = [engine_report(*engine, outputs[engine], work, split, models) for engine in chosen]
    for row in rows:
        row["retention"] = row["fidelity"] = None
        if row["precision"] == "int8":
            row["retention"] = retention(row, rows[0])
            own = outputs[row["engine"], "int8"]
            row["fidelity"] = fidelity(own, outputs[REFERENCE], work, split)
    report = {
        "split": {
            "sha256": split.sha256,
            "samples": {name: len(split.rows(name)) for name in SPLITS},
            "candidates": CANDIDATES,
            "siblings": SIBLINGS,
            "sentences": len(split.sentences),
        },
        "engines": rows,
        "random": baseline.load(split.sha256),
    }
    return report, work, outputs


def engine_report(
    engine: str, precision: str, outputs: Outputs, work: Work, split: TestSplit, models: Models
) -> dict[str, Any]:
    """All figures of one engine; each with an interval is [value, low, high]."""
    golden = mean_centred_cosine(outputs.golden, models.golden["embedding"])
    everything = outputs.embeddings[0]
    return {
        "engine": engine,
        "precision": precision,
        "retrieval": {name: retrieval(outputs, work, split.rows(name)) for name in SPLITS},
        "screen_class": {name: kinds(outputs, work, split, name) for name in SPLITS},
        "regions": {name: regions(outputs, work, split, split.rows(name)) for name in SPLITS},
        "spearman": sentences(outputs, work, split),
        "mean_pairwise_cosine": mean_pairwise_cosine(everything[split.rows("test")]),
        "mean_centred_cosine": {"min": float(golden.min()), "mean": float(golden.mean())},
    }


def scores(outputs: Outputs, work: Work, condition: int, rows: np.ndarray) -> np.ndarray:
    """Cosines of samples' embeddings with their candidates, float64 [len(rows), C]."""
    every = outputs.embeddings[condition, rows].astype(np.float64) @ outputs.texts.T.astype(np.float64)
    return np.take_along_axis(every, work.candidates[rows], axis=1)


def retrieval(outputs: Outputs, work: Work, rows: np.ndarray) -> dict[str, dict[str, list[float]]]:
    """By condition, the FIGURES of the samples `rows`."""
    found = {}
    for number, condition in enumerate(CONDITIONS):
        ranks = right_ranks(scores(outputs, work, number, rows))
        values = dict(zip(FIGURES, (ranks <= 1, ranks <= 5, 1 / ranks), strict=True))
        found[condition] = {name: list(bootstrap(each)) for name, each in values.items()}
    return found


def nearest_kinds(outputs: Outputs, work: Work, split: TestSplit, condition: int = 0) -> list[str]:
    """Of each sample, the kind whose caption is nearest to its embedding."""
    captions = [(kind, text) for kind, texts in split.captions.items() for text in texts]
    tokens = outputs.texts[work.positions(text for _, text in captions)]
    nearest = (outputs.embeddings[condition].astype(np.float64) @ tokens.T.astype(np.float64)).argmax(axis=1)
    return [captions[index][0] for index in nearest]


def kinds(outputs: Outputs, work: Work, split: TestSplit, name: str) -> dict[str, Any]:
    """How often the nearest caption is one of the right kind, by condition, and what is taken for what."""
    rows, names = split.rows(name), sorted(split.captions)
    found: dict[str, Any] = {}
    for number, condition in enumerate(CONDITIONS):
        predicted = nearest_kinds(outputs, work, split, number)
        pairs = [(split.samples[row].kind, predicted[row]) for row in rows]
        found[condition] = list(wilson(sum(right == guess for right, guess in pairs), len(pairs)))
        if condition == "all":
            counts = [[pairs.count((right, guess)) for guess in names] for right in names]
    return {"accuracy": found, "kinds": names, "confusion": counts}


def regions(
    outputs: Outputs, work: Work, split: TestSplit, rows: np.ndarray
) -> dict[str, float | None] | None:
    """Mean IoU of the masks of samples `rows` with their boxes, by region and in the `mean` of all.

    Regions that a screen does not have do not count; one that no screen has is None. None for all where the
    encoder has fixed regions.
    """
    if not outputs.masks.size:
        return None
    boxes = np.array([region_boxes(split.samples[row]) for row in rows])
    found = region_ious(outputs.masks[rows], boxes, work.size)
    by_region = {name: _known_mean(found[:, place]) for place, name in enumerate(REGION_NAMES)}
    return by_region | {"mean": _known_mean(found)}


def _known_mean(values: np.ndarray) -> float | None:
    """Mean of all values that are numbers; None where none is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else None


def sentences(outputs: Outputs, work: Work, split: TestSplit) -> float:
    """Spearman's correlation of the text tower's pairwise similarities with the teacher's."""
    own = outputs.texts[work.positions(split.sentences)]
    return spearman(pairwise_cosines(own), pairwise_cosines(split.teacher))


def screen_cosines(outputs: Outputs, reference: Outputs) -> np.ndarray:
    """Mean-centred cosine of each sample's embedding, given everything, with the reference's; float64 [N].

    What is taken off both sides is one embedding: the mean of the reference's over the samples of all splits.
    """
    return mean_centred_cosine(outputs.embeddings[0], reference.embeddings[0])


def fidelity(outputs: Outputs, reference: Outputs, work: Work, split: TestSplit) -> dict[str, dict[str, Any]]:
    """How near an engine stays to the reference where it is furthest off: of each split, and of all texts.

    Returns:
        By name of a split, and by `texts` for the text tokens, which have a mean of their own: n, worst,
        worst_sample (a sample's id, or the text), p1, p5 (percentiles) and mean, of the mean-centred cosines.
    """
    screens = screen_cosines(outputs, reference)
    ids = [sample.id for sample in split.samples]
    found = {name: (screens[split.rows(name)], [ids[row] for row in split.rows(name)]) for name in SPLITS}
    found["texts"] = mean_centred_cosine(outputs.texts, reference.texts), list(work.texts)
    report = {}
    for name, (values, names) in found.items():
        low = tail(values)._asdict()
        report[name] = low | {"worst_sample": names[low.pop("place")]}
    return report


def headline(row: Mapping[str, Any]) -> dict[str, float]:
    """The figures of an engine of which INT8 must keep nearly all; higher is better for each."""
    found = {
        f"{figure} {split}": row["retrieval"][split]["all"][figure][0]
        for split in SPLITS
        for figure in FIGURES
    }
    found |= {f"class {split}": row["screen_class"][split]["accuracy"]["all"][0] for split in SPLITS}
    return found | {"spearman": row["spearman"]}


def retention(row: Mapping[str, Any], reference: Mapping[str, Any]) -> dict[str, float]:
    """Each headline figure as a share of the reference's; 1 where the reference has nothing to keep."""
    own, other = headline(row), headline(reference)
    return {name: own[name] / other[name] if other[name] > 0 else 1.0 for name in other}
