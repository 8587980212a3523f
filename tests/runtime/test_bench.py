"""Measurements in fresh processes: plausible, consistent, and told as they are."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from runtime import bench
from runtime.bundle import Bundle
from runtime.engines import EngineError
from tests.runtime.conftest import accept_file

ROOT = Path(__file__).parents[2]


def test_memory_counts_what_a_process_really_takes():
    script = (
        "import numpy as np\nfrom runtime.bench_worker import memory_bytes\nbefore = memory_bytes()\n"
        "kept = np.ones(64_000_000, np.uint8)\nheld = memory_bytes()\ndel kept\nafter = memory_bytes()\n"
        "print(*((held if key == 'private' else after)[key] - before[key] for key in ('private', 'peak', 'resident')))"
    )
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    private, peak, resident = (int(number) for number in run.stdout.split())
    assert private == pytest.approx(64e6, rel=0.02)
    assert peak > 50e6 > 10e6 > resident


def test_memory_of_a_bundle(tiny):
    result = bench.measure_memory(Bundle.load(tiny), "onnx", "int8", processes=1)
    assert (result.engine, result.precision, result.processes) == ("onnx", "int8", 1)
    assert result.file_bytes == sum(
        (tiny / f"{part}.onnx").stat().st_size for part in ("vision", "text", "fuse")
    )
    assert 10_000 < result.private_bytes <= result.peak_bytes < 100e6
    assert result.packed_bytes == 0 < result.first_start_bytes
    assert min(result.import_ms, result.load_ms, result.first_encode_ms) > 0
    assert "RssAnon" in result.how


def test_the_command_measures_every_stage_and_draws_them(tiny, command, tmp_path):
    chart = tmp_path / "chart.png"
    ended = command(
        "bench", tiny, "--engine", "tflite", "--precision", "int8", "--runs", 5, "--json", "--chart", chart
    )
    assert ended.code == 0 and ended.err == ""
    result = json.loads(ended.out)
    rows = result["latency"]
    assert [(row["stage"], row["threads"]) for row in rows] == [
        ("resize", 1), ("tokenize", 1),
        *((stage, threads) for threads in (1, 2) for stage in ("vision", "text", "fuse", "keystroke", "encode")),
    ]  # fmt: skip
    assert all(0 < row["p50_ms"] <= row["p90_ms"] <= row["p99_ms"] for row in rows)
    [memory] = result["memory"]
    assert memory["file_bytes"] == (tiny / "encoder.tflite").stat().st_size
    assert 0 < memory["packed_bytes"] < memory["mapped_bytes"]
    assert 0 < memory["opened_bytes"] <= memory["private_bytes"] < memory["peak_bytes"]
    assert memory["first_start_bytes"] > 0
    image = Image.open(chart)
    assert image.format == "PNG" and image.width == 2240
    assert len(image.getcolors(100_000)) > 10
    assert [path.name for path in tmp_path.iterdir()] == ["chart.png"]


def test_the_tables_name_units_and_method(tiny, command):
    ended = command("bench", tiny, "--engine", "tflite", "--precision", "fp32", "--runs", 3)
    assert ended.code == 0
    for heading in (
        "p50 ms", "p99 ms", "files MB", "packed weights MB", "mapped MB", "opening MB", "arenas MB", "private MB",
        "first start MB", "peak MB", "memory: RssAnon",
    ):  # fmt: skip
        assert heading in ended.out


def test_packed_weights_leave_private_memory_for_a_mapped_file(bundle_dir):
    result = bench.measure_memory(Bundle.load(bundle_dir), processes=1)
    assert result.packed_bytes > 1e6
    assert result.private_bytes < 6e6
    assert result.mapped_bytes > result.packed_bytes


def test_memory_says_where_packed_weights_stay_private(tiny, tmp_path, monkeypatch):
    """A worker that takes LiteRT's version for one that it does not know."""
    (tmp_path / "sitecustomize.py").write_text("from runtime import litert_c\nlitert_c.TESTED = ()\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    result = bench.measure_memory(Bundle.load(tiny), processes=1)
    assert result.packed_bytes == 0
    assert result.how.endswith(f"packed weights were in private memory: {bench.NOT_KEPT}")


@pytest.mark.parametrize("chart", ["chart.jpg", "none/chart.png"])
def test_a_chart_that_cannot_be_written_is_refused_before_measuring(tiny, command, tmp_path, chart):
    ended = command("bench", tiny, "--chart", tmp_path / chart)
    assert ended.code == 2 and ended.out == "" and ended.err.count("\n") == 1 and "chart" in ended.err
    assert not list(tmp_path.iterdir())


def test_a_model_that_cannot_run_ends_in_one_line(copied):
    (copied / "encoder.tflite").write_bytes(b"nothing")
    accept_file(copied, "encoder.tflite")
    with pytest.raises(
        EngineError, match=r"tflite int8: measuring ended with status 1: .*cannot open it"
    ) as caught:
        bench.measure_memory(Bundle.load(copied))
    assert "\n" not in str(caught.value)
