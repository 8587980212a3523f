"""What `make` does before anything else: finds a Python, and installs into .venv what a target needs."""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest

from tests.conftest import ROOT, missing

THIS = f"3.{sys.version_info.minor}"
PYTHON = Path(sys.base_prefix) / "bin" / f"python{THIS}"
EXTRAS = ("onnx", "export", "train", "cluster", "dev")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An empty folder that stands first on the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    return folder


def script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def find(path: Path, first: str, last: str, **variables: str) -> subprocess.CompletedProcess:
    environment = {"PATH": str(path), "HOME": str(path), **variables}
    command = ["/bin/sh", ROOT / "tools" / "find_python.sh", first, last]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def test_a_name_that_does_not_run_is_passed_over(path):
    script(path / f"python{THIS}", "echo 'command not found' >&2; exit 127")  # as pyenv's are
    (path / "python3").symlink_to(PYTHON)
    found = find(path, "3.9", "3.15")
    assert (found.returncode, found.stdout, found.stderr) == (0, "python3\n", "")


def test_pyenvs_versions_are_found_by_themselves(path):
    binaries = path / ".pyenv" / "versions" / f"{THIS}.99" / "bin"
    binaries.mkdir(parents=True)
    (binaries / "python").symlink_to(PYTHON)
    assert find(path, "3.9", "3.15").stdout == f"{binaries / 'python'}\n"


@pytest.mark.parametrize("variables", [{}, {"PYTHON": "no-such-python"}, {"PYTHON": str(PYTHON)}])
def test_no_python_that_fits_is_one_line(path, variables):
    (path / "python3").symlink_to(PYTHON)
    found = find(path, "3.1", "3.2", **variables)
    assert (found.returncode, found.stdout, found.stderr.count("\n")) == (2, "", 1)
    assert "3.1 to 3.2" in found.stderr and variables.get("PYTHON", "make PYTHON=") in found.stderr


def wheel(path: Path, metadata: str) -> None:
    """Writes a wheel that has nothing but a name, a version and what it requires."""
    name, version = path.name.split("-")[:2]
    folder = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(
            f"{folder}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{metadata}"
        )
        file.writestr(f"{folder}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(
            f"{folder}/RECORD", "".join(f"{folder}/{part},,\n" for part in ("METADATA", "WHEEL", "RECORD"))
        )


class Index(SimpleHTTPRequestHandler):
    """A package index on the loopback that notes who asks it."""

    asked_by: ClassVar[set[str]] = set()

    def log_message(self, *args: object) -> None:
        self.asked_by.add(self.headers["User-Agent"].split("/")[0])


@pytest.fixture
def index(tmp_path: Path) -> Iterator[str]:
    """The address of an index that offers versions 1.0 and 2.0 of one package."""
    Index.asked_by.clear()
    folder = tmp_path / "index" / "simple" / "probe"
    folder.mkdir(parents=True)
    for version in ("1.0", "2.0"):
        wheel(folder / f"probe-{version}-py3-none-any.whl", "")
    handler = partial(Index, directory=str(tmp_path / "index"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/simple"
        server.shutdown()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A checkout with this project's set-up, whose extras need the package in version 1.0 or later."""
    folder = tmp_path / "project"
    shutil.copytree(ROOT / "tools", folder / "tools")
    extras = "".join(f'{extra} = ["probe>=1"]\n' for extra in EXTRAS)
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        f'[project]\nname = "mini"\nversion = "1.0"\n[project.optional-dependencies]\n{extras}'
    )
    (folder / "constraints.txt").write_text("probe==1.0\n")
    metadata = "".join(
        f'Provides-Extra: {extra}\nRequires-Dist: probe>=1; extra == "{extra}"\n' for extra in EXTRAS
    )
    wheel(folder / "mini-1.0-py3-none-any.whl", metadata)
    (folder / "backend.py").write_text(
        "import shutil\n\n\ndef build_editable(folder, settings=None, metadata=None):\n"
        "    return shutil.copy('mini-1.0-py3-none-any.whl', folder).split('/')[-1]\n"
    )
    return folder


def set_up(project: Path, index: str, path: Path, what: str, **variables: str) -> subprocess.CompletedProcess:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("UV_", "PIP_"))}
    environment = kept | {
        "PATH": f"{path}:/usr/bin:/bin", "PYTHON": str(PYTHON), "PIP_INDEX_URL": index, "NO_PROXY": "127.0.0.1",
        "UV_CACHE_DIR": str(project / "cache"), "PIP_NO_CACHE_DIR": "1", **variables,
    }  # fmt: skip
    command = ["sh", "tools/setup.sh", ".venv", what]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)


def probe(project: Path) -> str:
    """The installed version of the package."""
    code = "from importlib.metadata import version; print(version('mini'), version('probe'))"
    run = subprocess.run(
        [project / ".venv/bin/python", "-c", code], capture_output=True, text=True, check=True
    )
    return run.stdout.split()[1]


def test_uv_asks_the_index_that_pip_is_told_of_and_installs_once(project, index, path):
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv is None:
        missing("uv is not installed")
    (path / "uv").symlink_to(uv)
    (project / ".venv" / "bin").mkdir(parents=True)  # what an interrupted set-up leaves
    (project / ".venv" / "bin" / "python").symlink_to("gone")
    done = set_up(project, index, path, "train")
    assert done.returncode == 0, done.stderr
    assert Index.asked_by == {"uv"} and probe(project) == "1.0"
    again = set_up(project, index, path, "export")  # is a part of what is there
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    (project / "constraints.txt").write_text("probe==2.0\n")
    assert set_up(project, index, path, "export").returncode == 0 and probe(project) == "2.0"
    refused = set_up(project, index, path, "export", PYTHON="/bin/false")
    assert refused.returncode == 2 and refused.stderr.count("\n") == 1 and probe(project) == "2.0"


def test_pip_installs_where_uv_cannot(project, index, path):
    script(path / "uv", "exit 1")
    done = set_up(project, index, path, "export")
    assert done.returncode == 0, done.stderr
    assert "uv could not install them; trying pip" in done.stderr
    assert Index.asked_by == {"pip"} and probe(project) == "1.0"


def test_a_python_that_makes_no_environments_says_what_to_install(project, index, path):
    bare = path / "bare-python"  # as Debian's is without python3-venv
    script(bare, f'[ "$2" != venv ] || {{ mkdir -p "$3/bin"; exit 1; }}\nexec {PYTHON} "$@"')
    script(path / "uv", "exit 1")
    refused = set_up(project, index, path, "export", PYTHON=str(bare))
    assert refused.returncode == 2 and refused.stderr.count("\n") == 1 and "python3-venv" in refused.stderr
    assert not (project / ".venv").exists()
