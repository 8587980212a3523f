"""What was found, as JSON and as text."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from android_demo.check.apk import PAGE_BYTES, ApkReport
from android_demo.check.kotlin import TestClass
from android_demo.check.work import RESULTS, SCREENSHOTS, WORK
from runtime.report import plain_json
from runtime.terminal import table

LIMITS_MS = {
    "keystroke_beside_model_ms": 0.5,
    "keystroke_beside_model_byte_bpe_ms": 0.5,
    "preprocess_1080x2400_ms": 15.0,
}
"""CPU time on this host's JVM, warm. Reported, and judged by no test: hosts differ."""


@dataclass(frozen=True)
class Report:
    """Everything that the check found.

    Attributes:
        preset: The bundle's.
        tests: How the tests on the JVM ended.
        figures: What they left: parity of Kotlin with Python, and times.
        apk: The signed app; None where the tests failed before.
        screenshots: The app's, relative to build/android.
        seconds: Of each step.
    """

    preset: str
    tests: list[TestClass]
    figures: dict[str, Any]
    apk: ApkReport | None
    screenshots: list[str]
    seconds: dict[str, float]

    @property
    def passed(self) -> bool:
        """Whether every test passed, none was skipped, and the APK is as it must be."""
        well = all(not found.failed and not found.skipped for found in self.tests)
        return well and self.apk is not None and self.apk.passed

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self) | {"limits_ms": LIMITS_MS, "passed": self.passed}


def read_figures() -> dict[str, Any]:
    """What the tests left in RESULTS, by name."""
    figures: dict[str, Any] = {}
    for path in sorted(RESULTS.glob("*.json")):
        figures |= json.loads(path.read_text())
    return figures


def list_screenshots() -> list[str]:
    """The app's screenshots, relative to build/android."""
    return [str(path.relative_to(WORK)) for path in sorted(SCREENSHOTS.glob("*.png"))]


def write(report: Report) -> None:
    """Writes report.json and report.txt into build/android."""
    (WORK / "report.json").write_text(plain_json(report.to_dict()) + "\n")
    (WORK / "report.txt").write_text(text(report) + "\n")


def text(report: Report) -> str:
    """The whole report as text."""
    parts = [_tests(report), _parity(report.figures), _times(report.figures)]
    if report.apk:
        parts.append(_apk(report.apk))
    names = ", ".join(name.rpartition("/")[2].removesuffix(".png") for name in report.screenshots)
    parts.append(f"{len(report.screenshots)} screenshots in build/android/screenshots: {names}")
    spent = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in report.seconds.items())
    parts.append(f"{'pass' if report.passed else 'FAIL'}; {spent}")
    return "\n\n".join(parts)


def _tests(report: Report) -> str:
    rows = [
        (found.name, str(found.tests), f"{found.seconds:.1f}", "FAIL" if found.failed else "pass")
        for found in report.tests
    ]
    failures = [f"FAIL {found.name}.{failure}" for found in report.tests for failure in found.failed]
    return "\n".join([table(("tests on the JVM", "tests", "seconds", ""), rows), *failures])


def _parity(figures: dict[str, Any]) -> str:
    found = [value for name, value in sorted(figures.items()) if name.startswith("parity_")]
    rows = [
        (row["what"], str(row["compared"]), row["result"], "pass" if row["passed"] else "FAIL")
        for row in found
    ]
    return table(("Kotlin against Python", "compared", "result", ""), rows)


def _times(figures: dict[str, Any]) -> str:
    found = [(name, figures[name], limit) for name, limit in LIMITS_MS.items() if name in figures]
    rows = [(name, f"{ms:.3f}", f"{limit:g}", "pass" if ms < limit else "OVER") for name, ms, limit in found]
    return table(("CPU time on this host's JVM, warm, median", "ms", "limit", ""), rows)


def _apk(apk: ApkReport) -> str:
    by_size = sorted(apk.parts.items(), key=lambda item: -item[1])
    parts = ", ".join(f"{name} {size / 1e6:.2f}" for name, size in by_size)
    size, limit = f"{apk.size_bytes / 1e6:.2f} MB", f"{apk.limit_bytes / 1e6:g} MB"
    pages = "yes"
    if apk.library_segment_bytes < PAGE_BYTES:
        pages = (
            f"no: its own segments are aligned to {apk.library_segment_bytes} bytes, as TensorFlow Lite made "
            "them; for phones with pages of 16 KB take LiteRT from Google's Maven"
        )
    lines = [
        f"{apk.path}: {size}, limit {limit}: {'pass' if apk.passed else 'FAIL'}",
        f"MB by part: {parts}",
        *apk.badging,
        f"permissions: {', '.join(apk.permissions) or 'none'}",
        *apk.signature,
        f"native library begins at a multiple of 16 KB: {'yes' if apk.library_offset_aligned else 'NO'}",
        f"native library loads on pages of 16 KB: {pages}",
    ]
    return "\n".join(lines)
