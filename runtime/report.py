"""Measurements as plain-text tables and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .terminal import bar, table

if TYPE_CHECKING:
    from .bench import LatencyRow, MemoryResult
    from .parity import Check, ParityRow
    from .session import Ranked

MEMORY_PARTS = (
    "files and packed weights are mapped; mapped MB of them, and of the engine's library, were resident in "
    "the end.\nPrivate, opening + arenas, is of the process alone; first start is the same of the one that "
    "packs the weights; peak\ncounts mapped pages too."
)
_SIGNS = {"max_abs": "<="}
_NAMES = {
    "max_abs": "max abs",
    "cosine_min": "cosine",
    "mean_centred_cosine_min": "mean-centred",
    "self_retrieval": "self-retrieval",
}


def parity_table(rows: Sequence[ParityRow]) -> str:
    """Every row with its verdict, and a line that sums up."""
    header = ("engine", "precision", "signature", "max abs", "cosine min", "mean", "mean-centred min", "mean",
              "self-retrieval", "limits", "verdict")  # fmt: skip
    cells = [
        (
            row.engine, row.precision, row.signature, f"{row.max_abs:.1e}",
            f"{row.cosine_min:.6f}", f"{row.cosine_mean:.6f}",
            f"{row.mean_centred_cosine_min:.6f}", f"{row.mean_centred_cosine_mean:.6f}",
            f"{row.self_retrieval:.1%}", ", ".join(map(_limit, row.checks)) or "-",
            _verdict(row),
        )
        for row in rows
    ]  # fmt: skip
    failed = sum(not row.passed for row in rows)
    samples = rows[0].samples if rows else 0
    well = f"all {len(rows)} rows within their limits"
    summary = f"{failed} of {len(rows)} rows FAILED" if failed else well
    return f"{table(header, cells, left=3)}\n\n{samples} samples against PyTorch: {summary}"


def _limit(check: Check) -> str:
    figure = f"{check.limit:.0%}" if check.metric == "self_retrieval" else f"{check.limit:g}"
    return f"{_NAMES[check.metric]} {_SIGNS.get(check.metric, '>=')} {figure}"


def _verdict(row: ParityRow) -> str:
    if not row.checks:
        return "-"
    return "pass" if row.passed else "FAIL"


def latency_table(rows: Sequence[LatencyRow]) -> str:
    """Latency in milliseconds."""
    header = ("engine", "precision", "threads", "stage", "p50 ms", "p90 ms", "p99 ms", "runs")
    cells = [
        (row.engine, row.precision, str(row.threads), row.stage,
         f"{row.p50_ms:.3f}", f"{row.p90_ms:.3f}", f"{row.p99_ms:.3f}", str(row.runs))
        for row in rows
    ]  # fmt: skip
    return table(header, cells, left=4)


def memory_table(results: Sequence[MemoryResult]) -> str:
    """Cold load, and memory by part in MB, with what the parts are and how they were measured."""
    header = ("engine", "precision", "import ms", "load ms", "first encode ms")
    cells = [
        (r.engine, r.precision, f"{r.import_ms:.1f}", f"{r.load_ms:.1f}", f"{r.first_encode_ms:.1f}")
        for r in results
    ]
    parts = ("engine", "precision", "files MB", "packed weights MB", "mapped MB", "opening MB", "arenas MB",
             "private MB", "first start MB", "peak MB")  # fmt: skip
    sizes = [
        (r.engine, r.precision, _mb(r.file_bytes), _mb(r.packed_bytes) if r.packed_bytes else "private",
         _mb(r.mapped_bytes), _mb(r.opened_bytes), _mb(_arenas(r)), _mb(r.private_bytes),
         _mb(r.first_start_bytes), _mb(r.peak_bytes))
        for r in results
    ]  # fmt: skip
    notes = dict.fromkeys(result.how for result in results)
    return "\n".join([
        table(header, cells, left=2), "", table(parts, sizes, left=2), MEMORY_PARTS,
        *(f"memory: {note}" for note in notes),
    ])  # fmt: skip


def _arenas(result: MemoryResult) -> int | None:
    """What running adds to opening."""
    known = result.private_bytes is not None and result.opened_bytes is not None
    return result.private_bytes - result.opened_bytes if known else None


def _mb(size_bytes: int | None) -> str:
    return "not measured" if size_bytes is None else f"{size_bytes / 1e6:.2f}"


def ranking_table(ranked: Sequence[Ranked]) -> str:
    """Candidates, best first, each with its score as a bar from 0 to 1."""
    cells = [
        (str(place), f"{score:+.4f}", bar(score), candidate)
        for place, (candidate, score) in enumerate(ranked, start=1)
    ]
    width = len(str(len(ranked)))
    return "\n".join(f"{place.rjust(width)}  {score}  {drawn}  {text}" for place, score, drawn, text in cells)


def plain_json(value: Any) -> str:
    """JSON that any reader takes: numbers that are not finite become null."""
    return json.dumps(_finite(value), indent=1, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
