"""Compares what ships with what other tools make of the same weights, on the same golden screens."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.artefacts import Artefact, PeerError, Workshop
from benchmarks.baselines import BASELINES, Baseline
from benchmarks.counts import RUNS_IN_GUEST, CountError, count_instructions, target_profile
from benchmarks.host import ROUNDS, RowError, Session, measure, take_turns
from benchmarks.inputs import Inputs
from benchmarks.rows import OURS, Row, judge
from evaluation.arm64.errors import SetupError
from evaluation.arm64.toolchain import Toolchain, open_toolchain
from runtime.bundle import Bundle, select_files
from runtime.parity import GOLDEN, load_golden
from runtime.provenance import Weights

OnProgress = Callable[[int, int, str], None]
_STEPS_A_ROW = 3  # files, host, count


@dataclass(frozen=True)
class Comparison:
    """All that was measured.

    Attributes:
        preset: of the bundle.
        weights: where they came from.
        samples: number of golden screens.
        profile: the emulated phone.
        rows: ours first.
    """

    preset: str
    weights: Weights
    samples: int
    profile: str
    rows: tuple[Row, ...]

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as JSON types, the verdict included."""
        rows = [row.to_dict() for row in self.rows]
        fields = {"preset": self.preset, "weights": self.weights.to_dict(), "samples": self.samples}
        return fields | {"profile": self.profile, "rows": rows, "verdict": judge(self.rows).to_dict()}


def compare(
    bundle: Bundle,
    inputs: Inputs,
    root: Path,
    *,
    baselines: Sequence[Baseline] = BASELINES,
    only: Sequence[str] = (),
    emulate: bool = True,
    on_progress: OnProgress = lambda done, total, what: None,
) -> Comparison:
    """Exports, measures and counts every row.

    Args:
        bundle: whose shipped file is compared.
        inputs: its weights and calibration samples.
        root: keeps environments, files and counts.
        baselines: that there are.
        only: names of those to compare with; none = all.
        emulate: count instructions.
        on_progress: called with steps done, steps in all, and what runs.

    Raises:
        InputError: the bundle cannot be used.
        RowError: its own file does not run here.
    """
    root.mkdir(parents=True, exist_ok=True)
    chosen = [baseline for baseline in baselines if not only or baseline.name in only]
    steps = _Steps((len(chosen) + 1) * _STEPS_A_ROW + ROUNDS, on_progress)
    golden = load_golden(bundle.file(GOLDEN), bundle.tensors)
    ours = _shipped(bundle)
    workshop = Workshop(
        root.absolute(), inputs, {baseline.name: baseline for baseline in baselines}, steps.say
    )
    with ExitStack() as stack:
        bench = _Bench(bundle, golden, root, _toolchain(emulate), steps, stack)
        bench.add(Row(OURS, "pocket-encoder", _version(), "make export: encoder.tflite, INT8"), lambda: ours)
        for baseline in chosen:
            bench.add(
                Row(baseline.name, baseline.tool, how=baseline.how),
                lambda name=baseline.name: workshop.artefact(name),
            )
        rows = bench.timed()
    preset, weights = bundle.manifest["preset"], Weights.from_dict(bundle.manifest["weights"])
    return Comparison(preset, weights, len(golden["image"]), target_profile().name, tuple(rows))


@dataclass
class _Steps:
    total: int
    on_progress: OnProgress
    done: int = 0

    def __call__(self, what: str) -> None:
        self.on_progress(self.done, self.total, what)
        self.done += 1

    def say(self, what: str) -> None:
        self.on_progress(self.done, self.total, what)


@dataclass
class _Bench:
    """Takes rows one after another; their sessions stay open until all have been timed."""

    bundle: Bundle
    golden: Mapping[str, Any]
    root: Path
    toolchain: Toolchain | str
    steps: _Steps
    stack: ExitStack
    rows: dict[str, Row] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)

    def add(self, row: Row, files: Callable[[], Artefact]) -> None:
        """Measures all of a row but its times; what fails is said in the row."""
        self.steps(f"{row.name}: files")
        try:
            artefact = files()
        except PeerError as error:
            self.steps.done += _STEPS_A_ROW - 1
            self.rows[row.name] = row.having(error=str(error))
            return
        row = row.having(
            version=row.version or next(iter(artefact.versions.values())),
            file_bytes=artefact.file_bytes,
            export_s=artefact.seconds or None,
        )
        self.steps(f"{row.name}: memory and parity on this host")
        row = self._on_host(row, artefact)
        self.steps(f"{row.name}: instructions on {target_profile().name}")
        self.rows[row.name] = self._counted(row, artefact.paths)

    def _on_host(self, row: Row, artefact: Artefact) -> Row:
        try:
            session, figures = measure(
                lambda: Session(self.bundle, artefact.paths, _engine(artefact)), self.golden["embedding"]
            )
        except RowError as error:
            if row.name == OURS:
                raise
            return row.having(error=f"does not run here: {error}")
        self.stack.callback(session.close)
        self.sessions[row.name] = session
        return row.having(**asdict(figures))

    def _counted(self, row: Row, paths: Mapping[str, Path]) -> Row:
        if isinstance(self.toolchain, str):
            return row.having(not_counted=self.toolchain)
        suffix = paths["vision"].suffix
        if suffix not in RUNS_IN_GUEST:
            return row.having(not_counted=f"the emulated engines do not run {suffix}")
        try:
            golden = self.bundle.file(GOLDEN)
            return row.having(
                m_instructions=count_instructions(self.toolchain, paths, golden, self.root / "counts")
            )
        except CountError as error:
            return row.having(not_counted=str(error))

    def timed(self) -> list[Row]:
        """Times the rows in turn; returns them all."""
        turns = take_turns(self.sessions, OURS, lambda: self.steps("whole encodes, in turn"))
        for name, found in turns.items():
            if isinstance(found, str):
                self.rows[name] = self.rows[name].having(error=f"does not run here: {found}")
            else:
                self.rows[name] = self.rows[name].having(p50_ms=found[0], ratio=found[1])
        return list(self.rows.values())


def _shipped(bundle: Bundle) -> Artefact:
    chosen = select_files(bundle.files, "tflite", "int8")
    paths = {part: bundle.file(name).absolute() for part, name in chosen.items() if part != "encode"}
    return Artefact(paths, 0.0, {})


def _engine(artefact: Artefact) -> Path | None:
    """The environment whose engine runs the files: this one's, but for a format that it does not know."""
    return artefact.environment if artefact.paths["vision"].suffix == ".pte" else None


def _toolchain(emulate: bool) -> Toolchain | str:
    """The emulator, or why nothing is counted."""
    if not emulate:
        return "not asked for"
    try:
        return open_toolchain()
    except SetupError as error:
        return str(error)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("pocket-encoder")
    except PackageNotFoundError:
        return ""
