"""The ablation's jobs as Ray tasks: side by side, on a cluster too, and again where a worker dies."""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks.ablation.cluster import LOCAL, ClusterError, run_on_ray
from benchmarks.ablation.jobs import Job, Outcome
from tests.benchmarks.ablation_rows import write_sweep
from tests.conftest import ROOT, missing

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module", autouse=True)
def ray():
    """Ray is an extra: without it these tests are skipped, or fail where CI demands everything."""
    if find_spec("ray") is None:
        missing("ray is not installed (pip install '.[cluster]')")


def meet(job: Job) -> Outcome:
    """Waits until the other one is at work too: only two workers side by side can both end this."""
    folder = Path(job.config["folder"])
    (folder / job.name).touch()
    deadline = time.monotonic() + 60
    while len(list(folder.iterdir())) < 2:
        if time.monotonic() > deadline:
            return Outcome(None, "was alone")
        time.sleep(0.05)
    return Outcome({"worker": os.getpid()})


def die_once(job: Job) -> Outcome:
    """The first try says who it is and waits to be killed; the second one ends."""
    first = Path(job.config["folder"]) / "first"
    if first.exists():
        return Outcome({"worker": os.getpid(), "first": int(first.read_text())})
    partial = first.with_suffix(".partial")
    partial.write_text(str(os.getpid()))
    partial.rename(first)
    time.sleep(300)
    return Outcome(None, "was not killed")


def fail(job: Job) -> Outcome:
    """Ends with an exception, as a bug would."""
    raise KeyError(job.name)


def job(name: str, folder: Path) -> Job:
    return Job(name, name, {"folder": str(folder)}, name)


def run(jobs, task, count=2) -> dict[str, Outcome]:
    found = {}
    run_on_ray(jobs, LOCAL, count, lambda job, outcome: found.update({job.name: outcome}), task)
    return found


def do(job: Job) -> Outcome:
    """What each job's name says."""
    return {"one": meet, "two": meet, "killed": die_once, "broken": fail}[job.name](job)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory) -> dict[str, Outcome]:
    """Of jobs that all ran on one Ray with two workers, of which one was killed."""
    pair, alone = tmp_path_factory.mktemp("pair"), tmp_path_factory.mktemp("alone")
    first = alone / "first"

    def kill() -> None:
        while not first.exists():
            time.sleep(0.05)
        os.kill(int(first.read_text()), signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    return run([job("broken", alone), job("one", pair), job("two", pair), job("killed", alone)], do)


def test_two_workers_side_by_side(outcomes):
    one, two = outcomes["one"], outcomes["two"]
    assert (one.error, two.error) == ("", "")
    assert one.figures["worker"] != two.figures["worker"]


def test_a_task_whose_worker_is_killed_runs_again(outcomes):
    figures = outcomes["killed"].figures
    assert figures["worker"] != figures["first"]


def test_a_task_that_fails_is_an_outcome_and_not_the_end(outcomes):
    broken = outcomes["broken"]
    assert broken.figures is None and "KeyError" in broken.error and len(outcomes) == 4


def test_no_cluster_at_the_address():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(ClusterError, match=f"--ray {address}: nothing answers there"):
        run_on_ray([], address, 1, print)


@pytest.mark.exhaustive
def test_a_worker_killed_in_the_middle_of_an_export(tmp_path):
    sweep = write_sweep(tmp_path, tiny={"text_max_length": 6})
    command = [
        sys.executable,
        "-m",
        "benchmarks",
        "ablation",
        "--sweep",
        str(sweep),
        "--ray",
        "--jobs",
        "2",
        "--json",
    ]
    no_emulator = {"POCKET_ARM64_CACHE": str(tmp_path / "nothing")}
    environment = os.environ | {"POCKET_CACHE": str(tmp_path)} | no_emulator
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while not (workers := exporting_into(tmp_path)) and process.poll() is None:
        time.sleep(0.1)
    assert workers, process.communicate()[1]
    os.kill(parent_of(workers[0]), signal.SIGKILL)
    output, error = process.communicate()
    assert process.returncode == 0, error
    row = json.loads(output)["rows"][0]
    assert row["error"] == "" and row["figures"]["file_bytes"] > 0
    assert not Path(f"/proc/{workers[0]}").exists()  # the half-done export went with its worker


@pytest.fixture
def cluster(tmp_path):
    """A cluster of one machine, with a token of its own; yields its address and the token's variables."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(16),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    folder = tempfile.mkdtemp(prefix="ray-")  # the path of a socket in it must be short
    command = [Path(sys.executable).with_name("ray"), "start", "--head", "--block", f"--port={port}",
               "--num-cpus=4", "--include-dashboard=false", f"--temp-dir={folder}"]  # fmt: skip
    with open(tmp_path / "ray.log", "w") as log:
        head = subprocess.Popen(
            command, env=os.environ | token, stdout=log, stderr=log, start_new_session=True
        )
    try:
        deadline = time.monotonic() + 60
        while "Ray runtime started" not in (tmp_path / "ray.log").read_text():
            assert head.poll() is None and time.monotonic() < deadline, (tmp_path / "ray.log").read_text()
            time.sleep(0.2)
        yield f"127.0.0.1:{port}", token
    finally:
        head.terminate()
        head.wait(timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.exhaustive
def test_a_cluster_gets_the_code_and_answers(cluster, tmp_path):
    address, token = cluster
    sweep = write_sweep(tmp_path, broken={"backbone": "timm/no_such_model"})
    command = [
        sys.executable,
        "-m",
        "benchmarks",
        "ablation",
        "--sweep",
        str(sweep),
        "--ray",
        address,
        "--json",
    ]
    environment = os.environ | token | {"POCKET_CACHE": str(tmp_path)}
    told = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert told.returncode == 1, told.stderr
    error = json.loads(told.stdout)["rows"][0]["error"]
    assert error.startswith("unknown backbone 'timm/no_such_model'")
    stranger = environment | {"RAY_AUTH_TOKEN": "another"}
    refused = subprocess.run(command, cwd=ROOT, env=stranger, capture_output=True, text=True)
    assert refused.returncode == 2 and refused.stderr.count("\n") == 1
    assert "no Ray cluster lets us in" in refused.stderr


def exporting_into(folder: Path) -> list[int]:
    """Ids of the processes that export into a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes()
        except OSError:
            continue
        if b"benchmarks.ablation.worker" in line and str(folder).encode() in line:
            found.append(int(path.parent.name))
    return found


def parent_of(process: int) -> int:
    """Id of the process that started another."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("PPid:")))
