"""An export sets the emulator up itself; where it cannot or must not, it says so and succeeds all the same."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys

from evaluation.arm64.toolchain import cache_dir, is_set_up
from export import pipeline
from export.request import read_request
from tests.conftest import ROOT, missing, require_tool


def test_where_it_cannot_be_set_up_one_line_says_why_and_the_next_export_makes_up_for_it(
    emulator, exports, tmp_path
):
    nowhere = {"POCKET_ARM64_CACHE": str(tmp_path / "emulator"), "PATH": str(tmp_path / "no tools")}
    why = "latency of encode: not measured: the ARM64 emulator cannot be set up: apt-get, "
    code, printed, error = exports.run(**nowhere)
    assert (code, error) == (0, "") and why in printed and "do arm64 (skipped)" in printed
    assert sorted(exports.ran()) == ["both", "bundle", "first", "second"]
    printed = exports.run(**nowhere)[1]
    assert "unchanged, nothing to do" in printed and why in printed and exports.ran() == []
    if not is_set_up():
        missing("the ARM64 emulator is not set up")
    code, printed, error = exports.run(POCKET_ARM64_CACHE=str(cache_dir()))
    assert (code, error) == (0, "") and "not measured" not in printed and printed.count("(unchanged)") == 3
    assert exports.ran() == ["arm64", "bundle"]


def test_no_arm64_sets_nothing_up_and_says_so(bundle_dir, tmp_path):
    """A whole bundle, of the default export's steps."""
    cache, out = tmp_path / "cache" / "export", tmp_path / "bundle"
    for step, folder in pipeline._folders(read_request("balanced")).items():
        if step != "arm64":
            shutil.copytree(folder, cache / folder.name)
    own = {"POCKET_CACHE": str(cache.parent), "POCKET_ARM64_CACHE": str(tmp_path / "emulator")}
    command = [sys.executable, "-m", "export", "balanced", "--out", str(out), "--no-arm64"]
    ended = subprocess.run(command, cwd=ROOT, env=os.environ | own, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert "latency of encode: not measured: --no-arm64" in " ".join(ended.stdout.split())
    manifest = json.loads((out / "manifest.json").read_text())
    budgets = {budget["name"]: budget for budget in manifest["budgets"]}
    assert "arm64" not in manifest and budgets["latency of encode"]["pass"] is None
    assert budgets["encoder.tflite private memory"]["value"] % 100_000 == 0
    assert not (tmp_path / "emulator").exists()


def test_an_interrupted_set_up_ends_at_once_with_what_it_started(exports, tmp_path):
    require_tool("apt-get")
    with socket.create_server(("127.0.0.1", 0)) as unanswering:  # a network that does not answer
        address = f"http://127.0.0.1:{unanswering.getsockname()[1]}"
        proxies = {"http_proxy": address, "https_proxy": address}
        process = exports.start(POCKET_ARM64_CACHE=str(tmp_path / "emulator"), **proxies)
        unanswering.settimeout(60)
        connection, _ = unanswering.accept()
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=10)
        connection.settimeout(10)
        while connection.recv(4096):
            pass  # until apt is gone
        connection.close()
    assert process.returncode == 130 and error.count("\n") == 1
    assert exports.made() == "" and exports.left_behind() == []
    assert not (tmp_path / "emulator" / "toolchain").exists()
