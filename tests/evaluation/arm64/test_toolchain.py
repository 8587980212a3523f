"""The emulator's set-up: verified, rebuilt, safe for two at once, and clear where it cannot work."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from evaluation import arm64
from evaluation.arm64 import packages
from evaluation.arm64.errors import SetupError
from evaluation.arm64.toolchain import CACHE_VARIABLE, is_set_up, open_toolchain
from tests.conftest import ROOT, missing


def start_setup(cache: Path, **environment: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "evaluation", "setup-arm64", "--json"]
    environment = {**os.environ, CACHE_VARIABLE: str(cache), **environment}
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def ended(process: subprocess.Popen) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


@pytest.fixture
def copied(toolchain, tmp_path, monkeypatch) -> Path:
    """The real emulator in a cache of its own: hard links, so replace files, never write into them."""
    cache = tmp_path / "cache"
    shutil.copytree(toolchain.folder, cache / "toolchain", copy_function=os.link, symlinks=True)
    monkeypatch.setenv(CACHE_VARIABLE, str(cache))
    return cache / "toolchain"


def replace(path: Path, content: bytes) -> None:
    path.unlink()
    path.write_bytes(content)


def test_an_intact_copy_opens(copied):
    assert open_toolchain().versions["qemu"]
    assert arm64.available()


@pytest.mark.parametrize("name", ["counter.so", "host/usr/bin/qemu-aarch64", "root/usr/bin/python3.11"])
def test_a_single_changed_byte_is_found(copied, name: str):
    content = bytearray((copied / name).read_bytes())
    content[len(content) // 2] ^= 1
    replace(copied / name, bytes(content))
    with pytest.raises(SetupError, match=f"{name}: missing or altered"):
        open_toolchain()


def test_a_missing_file_is_found(copied):
    (copied / "site/numpy/__init__.py").unlink()
    with pytest.raises(SetupError, match=r"numpy/__init__.py: missing or altered"):
        open_toolchain()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"recipe": "", "versions": {}, "files": {}}'])
def test_an_unreadable_or_foreign_stamp_counts_as_not_set_up(copied, content: bytes):
    replace(copied / "stamp.json", content)
    assert not is_set_up()
    assert "evaluation setup-arm64" in arm64.available().reason
    with pytest.raises(SetupError, match="not set up"):
        open_toolchain()


@pytest.mark.exhaustive
def test_two_set_ups_at_once_over_a_damaged_cache_leave_one_good_emulator(copied):
    replace(copied / "counter.so", b"not a library")
    cache = copied.parent
    (cache / "toolchain.partial").mkdir()
    (cache / "toolchain.partial/junk").write_text("of an interrupted set-up")
    wheels = cache / "downloads/wheels"
    wheels.mkdir(parents=True)
    (wheels / "numpy-2.4.6-cp311-cp311-manylinux_2_27_aarch64.manylinux_2_28_aarch64.whl").write_bytes(
        b"half"
    )
    for code, out, err in [ended(process) for process in [start_setup(cache), start_setup(cache)]]:
        if code == 2 and "network" in err:
            missing(f"the emulator cannot be fetched again: {err}")
        assert code == 0, err
        assert json.loads(out)["folder"] == str(copied)
    assert (copied / "counter.so").read_bytes() == (open_toolchain().folder / "counter.so").read_bytes()
    assert not (cache / "toolchain.partial").exists()
    assert not (cache / "downloads").exists()


def test_a_set_up_that_waits_for_another_says_so_and_can_be_stopped(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    said = []
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(KeyboardInterrupt), arm64.set_up_beside(said.append) as future:
            while len(said) < 2 and not future.done():
                time.sleep(0.05)
            raise KeyboardInterrupt
    with packages.stopped_with_caller():  # the next set-up may run
        assert future.result(0) == "the set-up of the ARM64 emulator was stopped"
    assert set(said) == {"waiting for another set-up"}


def test_without_the_tools_one_line_names_them(tmp_path):
    code, out, err = ended(start_setup(tmp_path, PATH=str(tmp_path)))
    assert (code, out) == (2, "")
    assert err.startswith("error: ") and len(err.splitlines()) == 1
    assert "apt-get" in err and "Debian or Ubuntu" in err


def test_without_a_network_one_line_says_so(tmp_path):
    if shutil.which("apt-get") is None:
        missing("apt-get is not installed")
    nowhere = "http://127.0.0.1:9"
    proxies = {name: nowhere for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")}
    code, out, err = ended(start_setup(tmp_path, **proxies))
    assert (code, out) == (2, "")
    assert err.startswith("error: ") and len(err.splitlines()) == 1
    assert "network" in err


def test_a_cache_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    code, _, err = ended(start_setup(tmp_path / "file/cache"))
    assert code == 2
    assert err.startswith("error: ") and "file/cache" in err


def test_importing_and_asking_loads_neither_torch_nor_an_engine():
    code = (
        "import sys; from evaluation import arm64; arm64.available(); "
        "heavy = {'torch', 'ai_edge_litert', 'onnxruntime', 'numpy'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_the_emulated_engines_are_the_host_s_versions(toolchain):
    from importlib.metadata import version

    for name in ("numpy", "ai-edge-litert", "onnxruntime"):
        assert toolchain.versions[name.replace("-", "_")] == version(name)
