"""An export sets the emulator up itself; where it cannot or must not, it says so and succeeds all the same."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from evaluation.arm64.toolchain import cache_dir, is_set_up
from export import pipeline
from export.request import read_request
from export.steps.files import link
from export.steps.table import STEPS
from tests.conftest import ROOT, missing, require_tool


@pytest.fixture
def warm(bundle_dir, tmp_path) -> dict[str, str]:
    """An environment in which every step is cached but `arm64`, and no emulator is set up."""
    for step, folder in pipeline._folders(read_request("balanced")).items():
        if step != "arm64":
            shutil.copytree(
                folder, tmp_path / "cache" / "export" / folder.name,
                copy_function=lambda source, target: link(Path(source), Path(target)),
            )  # fmt: skip
    return {"POCKET_CACHE": str(tmp_path / "cache"), "POCKET_ARM64_CACHE": str(tmp_path / "emulator")}


def start(out: Path, *options: str, **environment: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "export", "balanced", "--out", str(out), *options]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def export(out: Path, *options: str, **environment: str) -> tuple[str, dict]:
    """Exports; returns what was printed as one line, and the manifest."""
    process = start(out, *options, **environment)
    printed, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    return " ".join(printed.split()), json.loads((out / "manifest.json").read_text())


def budget(manifest: dict, name: str) -> dict:
    (found,) = (entry for entry in manifest["budgets"] if entry["name"] == name)
    return found


def test_where_it_cannot_be_set_up_one_line_says_why_and_the_next_export_makes_up_for_it(warm, tmp_path):
    out, nothing = tmp_path / "bundle", {"PATH": str(tmp_path / "no tools")}
    printed, manifest = export(out, **warm, **nothing)
    assert "latency of encode: not measured: the ARM64 emulator cannot be set up: apt-get, " in printed
    assert "arm64" not in manifest and budget(manifest, "latency of encode")["pass"] is None
    assert budget(manifest, "encoder.tflite private memory")["value"] % 100_000 == 0
    printed, _ = export(out, **warm, **nothing)
    assert "unchanged, nothing to do" in printed and "cannot be set up: apt-get, " in printed
    if not is_set_up():
        missing("the ARM64 emulator is not set up")
    printed, manifest = export(out, **warm | {"POCKET_ARM64_CACHE": str(cache_dir())})
    assert budget(manifest, "latency of encode")["value"] > 0
    assert all(entry["value"] is not None for entry in manifest["budgets"])
    assert printed.count("(unchanged)") == len(STEPS) - 1  # all but `arm64`


def test_no_arm64_sets_nothing_up_and_says_so(warm, tmp_path):
    printed, manifest = export(tmp_path / "bundle", "--no-arm64", **warm)
    assert "latency of encode: not measured: --no-arm64" in printed
    assert "arm64" not in manifest and not (tmp_path / "emulator").exists()


def test_an_interrupted_set_up_ends_at_once_with_what_it_started(warm, tmp_path):
    require_tool("apt-get")
    with socket.create_server(("127.0.0.1", 0)) as silent:  # a network that does not answer
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        process = start(tmp_path / "bundle", **warm, http_proxy=address, https_proxy=address)
        silent.settimeout(60)
        connection, _ = silent.accept()
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=10)
        connection.settimeout(10)
        while connection.recv(4096):
            pass  # until apt is gone
        connection.close()
    assert process.returncode == 130 and error.count("\n") == 1
    assert not (tmp_path / "bundle").exists()
    assert not (tmp_path / "emulator" / "toolchain").exists()
