"""The ablation as a user meets it: its rows, a small one really measured, tables and documents, and bad input."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import fields, replace
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.__main__ import main
from benchmarks.ablation import docs, results
from benchmarks.ablation.measure import complete
from benchmarks.ablation.rows import all_rows, slots
from benchmarks.ablation.tables import notes, tables, verdict_line
from encoder.config import PRESETS, EncoderConfig
from encoder.model import build, count_parameters
from encoder.modules.regions import REGIONS
from runtime.errors import InputError
from runtime.provenance import Weights
from tests.benchmarks.ablation_rows import TINY, result, variant, write_sweep
from tests.conftest import ROOT


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "benchmarks", "ablation", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True)


def test_rows_are_the_presets_and_variants_of_balanced_in_one_slot():
    rows = {row.name: row for row in all_rows()}
    assert list(rows)[: len(PRESETS)] == list(PRESETS)
    names = {name for row in rows.values() for name in (row.name, *row.also)}
    for slot, options in slots().items():
        for option in options:
            row = rows.get(f"{slot}={option}")
            if row is None:  # another name of what there is, or Option A's own
                continue
            differing = {
                field.name
                for field in fields(EncoderConfig)
                if getattr(row.config, field.name) != getattr(PRESETS["balanced"], field.name)
            }
            assert differing - {"fusion_layers"} == {slot}
    assert "roi_method=custom_sam_lite" in names and "global_projection=simple_projection" not in names
    assert len({row.bundle for row in rows.values()}) == len(rows)


def test_a_new_option_of_a_slot_is_a_row(monkeypatch):
    monkeypatch.setitem(REGIONS, "another_grid", type("AnotherGrid", (REGIONS["fixed_grid"],), {}))
    assert "roi_method=another_grid" in [row.name for row in all_rows()]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "huge"], "unknown row 'huge'; the rows are balanced, "),
        (["--list", "--write-docs"], "--list and --write-docs contradict each other"),
        (["--sweep", "rows.json", "--write-docs"], "--sweep and --write-docs contradict each other"),
        (["--jobs", "2", "--ray", "10.0.0.1:6379"], "--jobs and --ray ADDRESS contradict each other"),
        (["--jobs", "0"], "--jobs 0: must be at least 1"),
        (["--sweep", "nowhere.json"], "nowhere.json: no such file"),
        (["--ray", "somewhere"], "--ray somewhere: must be HOST:PORT of a Ray cluster"),
    ],
)
def test_bad_use_is_one_line_and_exit_2(capsys, tmp_path, monkeypatch, arguments, message):
    monkeypatch.setattr("benchmarks.ablation.jobs.CACHE", tmp_path)
    assert main(["ablation", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.startswith("error: ") and error.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "must hold one JSON object of row name -> config keys"),
        ('{"a/b": {}}', "the row's name 'a/b' may hold only letters, digits, _ and -"),
        ('{"a": 3}', "a: must be an object of config keys, not 3"),
        ('{"a": {"fusion_head": 4}}', "a: unknown config key 'fusion_head'; valid keys: backbone"),
    ],
)
def test_a_bad_sweep_is_named(capsys, tmp_path, text, message):
    path = tmp_path / "rows.json"
    path.write_text(text)
    assert main(["ablation", "--sweep", str(path)]) == 2
    assert f"{path}: {message}" in capsys.readouterr().err


@pytest.fixture(scope="module")
def measured(tmp_path_factory, emulator):
    """A sweep of two rows, one of which cannot be built, measured once."""
    folder = tmp_path_factory.mktemp("ablation")
    sweep = write_sweep(folder, tiny={}, broken={"backbone": "timm/no_such_model"})
    return folder, sweep, run("--sweep", sweep, "--json", "--jobs", "2", POCKET_CACHE=str(folder))


@pytest.mark.exhaustive
def test_a_row_that_fails_does_not_stop_the_others(measured):
    folder, _, told = measured
    assert told.returncode == 1, told.stderr
    tiny, broken = json.loads(told.stdout)["rows"]
    assert broken["figures"] is None and "unknown backbone 'timm/no_such_model'" in broken["error"]
    assert (folder / "ablation" / "logs" / "balanced-broken.log").is_file()
    figures, config = tiny["figures"], EncoderConfig.from_dict(PRESETS["balanced"].to_dict() | tiny["config"])
    assert figures["parameters"] == count_parameters(build(config))
    assert Weights.from_dict(figures["weights"]).source == "random"
    assert figures["quality"] is None and "RANDOM WEIGHTS in all parts" in figures["not_rated"]
    assert 0 < figures["file_bytes"] < 20e6 and figures["private_bytes"] > 0 and figures["export_s"] > 1
    assert (
        -1
        <= figures["parity"]["mean_centred_cosine_min"]
        <= figures["parity"]["mean_centred_cosine_mean"]
        <= 1
    )
    if figures["not_counted"]:
        assert os.environ.get("POCKET_REQUIRE_ALL") != "1", figures["not_counted"]
    else:
        paths = figures["phones"][figures["target"]]
        assert 0 < paths["keystroke"]["m_instructions"] < paths["encode"]["m_instructions"] < 20
    assert not list((folder / "ablation" / "work").iterdir())


@pytest.mark.exhaustive
def test_what_did_not_change_is_not_run_again(measured):
    folder, sweep, first = measured
    kept = {path: path.stat().st_mtime_ns for path in (folder / "ablation" / "rows").iterdir()}
    again = run("--sweep", sweep, "--only", "tiny", "--json", POCKET_CACHE=str(folder))
    assert again.returncode == 0 and len(kept) == 1
    assert json.loads(again.stdout)["rows"][0] == json.loads(first.stdout)["rows"][0]
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    table = run("--sweep", sweep, "--only", "tiny", POCKET_CACHE=str(folder)).stdout
    assert "Cost" in table and "tiny" in table and "fewest instructions" in table


@pytest.mark.parametrize("end", [signal.SIGINT, pytest.param(signal.SIGKILL, marks=pytest.mark.exhaustive)])
def test_a_stopped_ablation_leaves_no_worker_behind(tmp_path, end):
    sweep = write_sweep(tmp_path, tiny={"text_max_length": 7})
    command = [sys.executable, "-m", "benchmarks", "ablation", "--sweep", str(sweep)]
    environment = os.environ | {"POCKET_CACHE": str(tmp_path)}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    while not workers_in(tmp_path) and process.poll() is None:
        time.sleep(0.1)
    busy = run("--sweep", sweep, POCKET_CACHE=str(tmp_path))
    assert busy.returncode == 2 and "another ablation is at work there" in busy.stderr
    process.send_signal(end)
    error = process.communicate(timeout=60)[1]
    if end == signal.SIGINT:
        assert process.returncode == 130
        assert error == "error: interrupted; rows that were done need not run again\n"
    deadline = time.monotonic() + 20
    while workers_in(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not workers_in(tmp_path)


def workers_in(folder: Path) -> list[str]:
    """Processes that export into a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if "benchmarks.ablation.worker" in line and str(folder) in line:
            found.append(line)
    return found


ROWS = [
    result("balanced", m_instructions=36, mb=5, r1=0.84),
    result("fast", m_instructions=12, mb=4, r1=0.70),
    replace(variant("fusion=two_layer_transformer", m_instructions=40, mb=5.5), stale=True),
    replace(result("lost"), figures=None, error="step 'tflite' failed: no | such op"),
]


def test_tables_hold_what_was_measured_and_say_what_was_not():
    cost, accuracy = tables(ROWS)
    assert [row[0] for row in cost.rows] == ["balanced", "fast", "fusion=two_layer_transformer †"]
    shown = dict(zip(cost.header, cost.rows[0], strict=True))
    assert shown["parameters, M"] == "6.00" and shown["encoder.tflite, MB"] == "5.00"
    assert shown["a76, M instructions"] == "36.0" and shown["a76, ms"] == "18.0"
    rated = dict(zip(accuracy.header, accuracy.rows[0], strict=True))
    assert rated["R@1 test"] == "84.0 %" and rated["Spearman"] == "0.840"
    assert [row[0] for row in accuracy.rows] == ["balanced", "fast"]  # random weights have none
    assert notes(ROWS)[0] == "lost: step 'tflite' failed: no | such op"
    assert notes(ROWS)[-1].startswith("† measured by earlier code")
    assert verdict_line(ROWS) == (
        "fewest instructions for the bytes: fast; fewest instructions for the quality: fast, balanced"
    )


def test_documents_get_tables_chart_and_results(tmp_path):
    path, file = tmp_path / "ablation.md", tmp_path / "results.json"
    path.write_text(f"before\n{docs.MARKS[0]}\nold figures\n{docs.MARKS[1]}\nafter\n")
    docs.write_docs(ROWS, path, file)
    text = path.read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "old figures" not in text
    assert "| balanced | 6.00 |" in text and "no \\| such op" in text
    with Image.open(tmp_path / "images" / docs.CHART) as chart:
        assert chart.format == "PNG" and chart.width > chart.height  # two panels side by side
    assert results.load(file) == ROWS
    docs.write_docs(ROWS, path, file)
    assert path.read_text() == text
    path.write_text("no marks")
    with pytest.raises(InputError, match="must stand there once"):
        docs.write_docs(ROWS, path, file)


def test_rows_that_did_not_run_keep_their_committed_figures(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.ablation.jobs.CACHE", tmp_path)
    rows = [row for row in all_rows() if row.name in PRESETS]
    new = replace(result(rows[0].name), config=rows[0].config.to_dict())
    same = replace(result(rows[1].name), config=rows[1].config.to_dict())
    other = replace(result(rows[2].name), config=TINY)
    found = complete(rows, [new], [same, other])
    assert [row.name for row in found] == list(PRESETS)
    assert found[0] == new
    assert found[1].figures == same.figures and found[1].stale  # its digest is not that of today's code
    assert found[2].figures is None and found[2].error == "not measured"  # another encoder had this name


def test_damaged_results_are_named(tmp_path):
    path = tmp_path / "results.json"
    path.write_text('{"schema_version": 0, "rows": []}')
    with pytest.raises(InputError, match=r"results.json: not the ablation's results: schema_version 0"):
        results.load(path)
