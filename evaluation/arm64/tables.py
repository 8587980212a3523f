"""What the command line prints of a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from evaluation.arm64 import baseline
from evaluation.arm64.baseline import Comparison
from evaluation.arm64.report import (
    PATHS,
    SHIPPED,
    Arm64Report,
    OperatorCost,
    significant,
    worst_spread,
)
from evaluation.terminal.tables import print_table
from evaluation.verdict import Verdict

_OPERATORS_SHOWN = 14
_BAR_WIDTH = 24


def print_report(console: Console, report: Arm64Report) -> None:
    """Prints cost, operators, parity, failures and verdicts, the verdicts last."""
    print_costs(console, report)
    print_paths(console, report)
    if report.operators:
        print_parts(console, report)
        print_operators(console, report)
    print_parity(console, report)
    for failure in report.failures:
        console.print(Text(f"FAILED {failure.file} on {failure.profile}: {failure.reason}", style="bold red"))
        for line in failure.last_lines:
            console.print(Text(f"    {line}"))
    print_verdicts(console, report.verdicts)
    target = report.target
    console.print(
        f"{target.name}'s latency decides: {target.title}; {target.m_instructions_per_ms:g} M instructions "
        "a ms ({:g} to {:g}). Simulated, on no phone.".format(*target.m_instructions_per_ms_range)
    )


def print_costs(console: Console, report: Arm64Report) -> None:
    """Prints instructions and simulated milliseconds of every model and signature."""
    spread = worst_spread(report.costs)
    table = _table(
        "one inference, one thread",
        f"two counts of the shipped model differ by {max(spread, 1e-5):.3%} at most",
    )
    names = [profile.name for profile in report.profiles]
    _columns(
        table,
        ["model", "signature"],
        [f"M instructions\n{report.target.name}", *(f"ms\n{name}" for name in names)],
    )
    for cost in report.costs:
        count = cost.m_instructions.get(report.target.name)
        ms = [
            f"{profile.milliseconds(cost.m_instructions[profile.name]):.2f}"
            if profile.name in cost.m_instructions
            else "-"
            for profile in report.profiles
        ]
        model = f"{cost.engine} {cost.precision}"
        table.add_row(model, cost.signature, "-" if count is None else f"{count:.4g}", *ms)
    print_table(console, table)


def print_paths(console: Console, report: Arm64Report) -> None:
    """Prints what an app waits for, with the range that the published rates leave open."""
    note = ", ".join(f"{path} = {_sum_of(parts)}" for path, parts in PATHS.items())
    table = _table(f"the shipped model ({' '.join(SHIPPED)}) on each phone", note)
    _columns(table, ["path", "profile", "phone"], ["year", "M instructions", "ms", "range of ms"])
    for path in PATHS:
        for profile in report.profiles:
            count = report.m_instructions(path, profile.name)
            if count is not None:
                low, high = profile.milliseconds_range(count)
                table.add_row(
                    path, profile.name, profile.title, str(profile.year), f"{count:.4g}",
                    f"{profile.milliseconds(count):.2f}", f"{low:.1f}-{high:.1f}",
                )  # fmt: skip
    print_table(console, table)


def _sum_of(parts: Iterable[str]) -> str:
    return " + ".join(f"{times} {part}" if times > 1 else part for part, times in Counter(parts).items())


def print_parts(console: Console, report: Arm64Report) -> None:
    """Prints each part's share of the shipped model's encode on the target."""
    table = _table(f"cost by part, {report.target.name}")
    _columns(table, ["part", ""], ["M instructions", "share"])
    counts = {part: report.m_instructions(part, report.target.name) or 0.0 for part in PATHS["encode"]}
    total = sum(counts.values()) or 1.0
    for part, count in counts.items():
        table.add_row(part, _bar(count / total), f"{count:.4g}", f"{count / total:.1%}")
    print_table(console, table)


def print_operators(console: Console, report: Arm64Report) -> None:
    """Prints the most expensive operator kinds of the shipped model's encode on the target."""
    merged = merge_signatures(report.operators)
    total = sum(cost.m_instructions for cost in merged)
    whole = report.m_instructions("encode", report.target.name) or 0.0
    note = f"profiled sum {total:.4g} M; counted in one piece {whole:.4g} M"
    table = _table(f"cost by operator, {report.target.name}", note)
    _columns(table, ["operator", "run by", ""], ["times", "M instructions", "share"])
    for cost in merged[:_OPERATORS_SHOWN]:
        runner = Text(cost.runner, style="" if cost.runner == "xnnpack" else "yellow")
        bar = _bar(cost.share)
        table.add_row(
            cost.operator, runner, bar, str(cost.times), f"{cost.m_instructions:.3g}", f"{cost.share:.1%}"
        )
    rest = merged[_OPERATORS_SHOWN:]
    if rest:
        others = sum(cost.m_instructions for cost in rest)
        times = str(sum(cost.times for cost in rest))
        table.add_row(f"{len(rest)} more kinds", "", "", times, f"{others:.3g}", f"{others / total:.1%}")
    print_table(console, table)


def merge_signatures(operators: Iterable[OperatorCost]) -> list[OperatorCost]:
    """Adds up operator kinds over the signatures of an encode, the most expensive first."""
    kinds: dict[tuple[str, str], tuple[int, float]] = {}
    for cost in operators:
        times, m_instructions = kinds.get((cost.operator, cost.runner), (0, 0.0))
        kinds[cost.operator, cost.runner] = times + cost.times, m_instructions + cost.m_instructions
    total = sum(m_instructions for _, m_instructions in kinds.values()) or 1.0
    merged = [
        OperatorCost("encode", operator, runner, times, significant(m_instructions), m_instructions / total)
        for (operator, runner), (times, m_instructions) in kinds.items()
    ]
    return sorted(merged, key=lambda cost: (-cost.m_instructions, cost.operator))


def print_parity(console: Console, report: Arm64Report) -> None:
    """Prints how close the target's outputs are to PyTorch's and to those of the same engine on this host."""
    note = "vs. PyTorch, and vs. the same engine on this host; cos = lowest cosine, cent = the mean taken off"
    table = _table(f"parity on {report.target.name}", note)
    figures = ["max abs", "cos", "cent", "found"]
    _columns(table, ["model", "signature"], ["rows", *figures, "host\nmax abs", "host\ncos"])
    rows = {
        (row.engine, row.precision, row.signature, row.against): row
        for row in report.parity
        if row.profile == report.target.name
    }
    for (engine, precision, signature, against), row in rows.items():
        if against == "pytorch":
            host = rows[engine, precision, signature, "host"]
            table.add_row(
                f"{engine} {precision}", signature, str(row.samples), f"{row.max_abs:.1e}",
                f"{row.cosine_min:.4f}", f"{row.mean_centred_cosine_min:.3f}", f"{row.self_retrieval:.0%}",
                f"{host.max_abs:.1e}",
                f"{host.cosine_min:.4f}", style=None if row.passed and host.passed else "red",
            )  # fmt: skip
    print_table(console, table)


def print_verdicts(console: Console, verdicts: Iterable[Verdict]) -> None:
    """Prints limits, values and verdicts; those that decide the exit status are marked."""
    table = _table("verdicts", "those marked * decide the exit status")
    _columns(table, ["what", "profile", "limit"], ["value", "verdict"])
    for verdict in verdicts:
        word = Text("pass", style="green") if verdict.passed else Text("FAIL", style="bold red")
        unit = f" {verdict.unit}" if verdict.unit else ""
        table.add_row(
            ("* " if verdict.gated else "  ") + verdict.name, verdict.profile,
            f"{verdict.relation} {verdict.limit:g}{unit}", f"{verdict.value:.4g}{unit}", word,
        )  # fmt: skip
    print_table(console, table)


def _table(title: str, caption: str | None = None) -> Table:
    kinds = {
        "title_justify": "left",
        "caption_justify": "left",
        "box": box.SIMPLE_HEAD,
        "padding": (0, 0),
        "pad_edge": False,
    }
    return Table(title=title, caption=caption, **kinds)


def _columns(table: Table, left: Iterable[str], right: Iterable[str]) -> None:
    for name in left:
        table.add_column(name)
    for name in right:
        table.add_column(name, justify="right", no_wrap=True)


def _bar(share: float) -> str:
    return "█" * max(round(share * _BAR_WIDTH), 1 if share > 0 else 0)


def print_baseline(console: Console, preset: str, found: Iterable[Comparison]) -> None:
    """Prints counts beside the committed ones."""
    table = _table(f"baseline of {preset}", f"a count may be over by {baseline.TOLERANCE:.0%}")
    _columns(table, ["signature", "profile"], ["committed M instructions", "now", "change", "verdict"])
    for entry in found:
        before = entry.committed_m_instructions
        change = "new" if before is None else f"{entry.m_instructions / before - 1:+.2%}"
        word = Text("pass", style="green") if entry.passed else Text("FAIL", style="bold red")
        committed = "-" if before is None else f"{before:g}"
        table.add_row(entry.signature, entry.profile, committed, f"{entry.m_instructions:g}", change, word)
    print_table(console, table)
