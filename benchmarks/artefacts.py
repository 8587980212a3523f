"""Exports baselines, each in a process of its own, and keeps their files until an input changes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.baselines import Baseline
from benchmarks.baselines.job import Job
from benchmarks.inputs import Inputs
from benchmarks.processes import ROOT, find_python, last_line, python_of, quiet_environment
from evaluation.sources import sources_digest
from export.request import digest
from runtime.files import forget_oldest, whole_folder

REQUIREMENTS = Path(__file__).parent / "requirements"
EXPORT_TIMEOUT_S = 1200
_STAMP = "installed.txt"
_NEWEST_PYTHON = {"onnx2tf": "3.12"}  # TensorFlow, as it needs it, has no wheels for later ones


class PeerError(RuntimeError):
    """A baseline's tool cannot be installed, or does not export; the message is one line."""


@dataclass(frozen=True)
class Artefact:
    """A baseline's files.

    Attributes:
        paths: by part; one file may serve several.
        seconds: from PyTorch to these files, its source's included.
        versions: of the tools that made them.
        environment: the virtual environment that they were made in; None = this one.
    """

    paths: Mapping[str, Path]
    seconds: float
    versions: Mapping[str, str]
    environment: Path | None = None

    @property
    def file_bytes(self) -> int:
        """Bytes on disk of all files."""
        return sum(path.stat().st_size for path in set(self.paths.values()))


class Workshop:
    """Makes artefacts in a folder, each once.

    Args:
        root: the comparison's folder.
        inputs: weights and calibration samples.
        baselines: that may be asked for, by name.
        on_step: called with what is being done.
    """

    def __init__(
        self, root: Path, inputs: Inputs, baselines: Mapping[str, Baseline], on_step: Callable[[str], None]
    ) -> None:
        self._root, self._inputs, self._baselines, self._on_step = root, inputs, baselines, on_step
        self._failed: dict[str, str] = {}

    def artefact(self, name: str) -> Artefact:
        """Returns a baseline's files, exported now where there are none.

        Raises:
            PeerError: it, or the baseline that it starts from, cannot be exported.
        """
        if name in self._failed:  # its next user need not wait for it to fail again
            raise PeerError(self._failed[name])
        baseline = self._baselines[name]
        try:
            source = self.artefact(baseline.source) if baseline.source else None
            environment = self._environment(baseline)
            folder = self._root / name / self._key(baseline)
            if not (folder / "result.json").is_file():
                self._on_step(f"{name}: export")
                self._export(baseline, source, environment, folder)
        except PeerError as error:
            self._failed[name] = str(error)
            raise
        result = json.loads((folder / "result.json").read_text())
        paths = {part: folder / file for part, file in result["files"].items()}
        seconds = result["seconds"] + (source.seconds if source else 0.0)
        return Artefact(paths, seconds, result["versions"], environment)

    def _key(self, baseline: Baseline) -> str:
        """A digest of all that decides a baseline's files, those of its source included."""
        if baseline.environment:
            tools = _requirements(baseline.environment).read_text()
        else:
            tools = {package: _version(package) for package in baseline.packages}
        code = sources_digest(baseline.module, "benchmarks.baselines.worker")
        source = self._key(self._baselines[baseline.source]) if baseline.source else ""
        return digest(self._inputs.key, tools, code, baseline.variant, source)[:16]

    def _environment(self, baseline: Baseline) -> Path | None:
        if baseline.environment is None:
            return None
        folder, wanted = (
            self._root / "envs" / baseline.environment,
            _requirements(baseline.environment).read_text(),
        )
        stamp = folder / _STAMP
        if stamp.is_file() and stamp.read_text() == wanted:
            return folder
        self._on_step(f"{baseline.name}: install {baseline.tool} in {folder.name}")
        shutil.rmtree(folder, ignore_errors=True)
        try:
            python = find_python("3.11", _NEWEST_PYTHON.get(baseline.environment, "3.13"))
        except LookupError as error:
            raise PeerError(f"{baseline.tool}: {error}") from None
        log = folder.parent / f"{folder.name}.log"
        folder.parent.mkdir(parents=True, exist_ok=True)
        _run([python, "-m", "venv", str(folder)], log)
        install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]
        install += [str(_requirements(baseline.environment))]
        _run([python_of(folder), *install], log)
        stamp.write_text(wanted)
        return folder

    def _export(
        self, baseline: Baseline, source: Artefact | None, environment: Path | None, folder: Path
    ) -> None:
        forget_oldest(folder.parent.glob("*"), keep=0)  # of other weights or tools
        with whole_folder(folder) as partial:
            given = self._inputs
            paths = source.paths if source else {}
            job = Job(given.config, given.weights, given.calibration, partial, baseline.variant, paths)
            request = {
                "module": baseline.module,
                "packages": baseline.packages,
                "job": job.to_dict(),
                "parent": os.getpid(),
            }
            (partial / "request.json").write_text(json.dumps(request))
            command = [python_of(environment), "-m", "benchmarks.baselines.worker"]
            command += [str(partial / name) for name in ("request.json", "result.json")]
            _run(command, folder.parent.with_suffix(".log"))


def _run(command: list[str], log: Path) -> None:
    """Runs a tool with what it prints in a file.

    Raises:
        PeerError: it fails, or takes too long.
    """
    try:
        with log.open("w") as stream:
            code = subprocess.run(
                command, cwd=ROOT, env=quiet_environment(), stdin=subprocess.DEVNULL, stdout=stream,
                stderr=stream, timeout=EXPORT_TIMEOUT_S, check=False,
            ).returncode  # fmt: skip
    except subprocess.TimeoutExpired:
        raise PeerError(f"no end after {EXPORT_TIMEOUT_S} s") from None
    if code != 0:
        raise PeerError(last_line(log.read_text(errors="replace"), code))


def _requirements(environment: str) -> Path:
    return REQUIREMENTS / f"{environment}.txt"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"
