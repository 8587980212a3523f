"""`python -m evaluation quality` as a user meets it: true figures, verdicts that gate, and one line for bad input."""

import io
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from rich.console import Console
from scipy import spatial, stats

from calibration_data.samples import read_samples
from evaluation import budgets
from evaluation.quality import baseline, docs
from evaluation.quality.candidates import candidate_sets
from evaluation.quality.tables import Table, figure_text, rich_table
from runtime import ScreenEncoder
from tests.conftest import ROOT
from tests.made_weights import weights_entry
from tests.runtime.conftest import TINY, accept_file, change_manifest
from tests.runtime.test_cli import assert_refused, tree

LINES = {
    "R@1 test": "right text first of 200, R@1",
    "class test": "TFLite INT8 class test",
    "class unseen_kit": "TFLite INT8 class unseen_kit",
    "Spearman": "text tower, Spearman",
    "mean_pairwise_cosine": "mean pairwise cosine",
}
GREY = np.full((256, 128, 3), 128, np.uint8)


@pytest.fixture(scope="module")
def contexts(split_folder):
    return read_samples(split_folder, splits=("test", "unseen_kit"), user_embed_dim=64)


def given(sample, condition: str) -> tuple:
    """What an app would pass to the encoder."""
    image = GREY if condition == "no screen" else sample.image
    return (
        image,
        "" if condition == "no text" else sample.text,
        None if condition == "no user" else sample.user,
    )


@pytest.mark.parametrize(("engine", "precision"), [("tflite", "fp32"), ("onnx", "int8")])
def test_retrieval_is_what_an_app_would_get_by_ranking(report, contexts, engine, precision):
    encoder = ScreenEncoder.load(TINY, engine, precision)
    sets = candidate_sets(contexts)
    row = next(row for row in report["engines"] if (row["engine"], row["precision"]) == (engine, precision))
    for condition in ("all", "no screen", "no text", "no user"):
        places = []
        for sample, texts in list(zip(contexts, sets, strict=True))[:210]:
            image, text, user = given(sample, condition)
            ranked = encoder.rank(image, text, texts[::-1], user)
            places.append(1 + [entry.candidate for entry in ranked].index(sample.target))
        places = np.array(places)
        found = row["retrieval"]["test"][condition]
        expected = {"r1": (places == 1).mean(), "r5": (places <= 5).mean(), "mrr": (1 / places).mean()}
        for name, value in expected.items():
            assert found[name][0] == pytest.approx(value, abs=1e-9)
            assert found[name][1] <= value <= found[name][2]


def test_screen_class_sentences_and_mean_pairwise_cosine(report, contexts, split_folder):
    encoder = ScreenEncoder.load(TINY, "tflite", "int8")
    row = next(row for row in report["engines"] if (row["engine"], row["precision"]) == ("tflite", "int8"))
    captions = json.loads((split_folder / "captions.json").read_text())
    texts = {text: kind for kind, group in captions.items() for text in group}
    for split in ("test", "unseen_kit"):
        chosen = [sample for sample in contexts if sample.split == split]
        guesses = [texts[encoder.rank(s.image, s.text, texts, s.user)[0].candidate] for s in chosen]
        right = [guess == sample.kind for guess, sample in zip(guesses, chosen, strict=True)]
        assert row["screen_class"][split]["accuracy"]["all"][0] == pytest.approx(np.mean(right))
        names, counts = row["screen_class"][split]["kinds"], np.array(row["screen_class"][split]["confusion"])
        assert counts.sum() == len(chosen) and np.trace(counts) == sum(right)
        assert counts[names.index("mail")].sum() == sum(sample.kind == "mail" for sample in chosen)
    with np.load(split_folder / "sentences.npz") as arrays:
        own = np.array([encoder.text_embedding(str(text)) for text in arrays["sentences"]])
        teacher = arrays["embeddings"].astype(np.float32)
    upper = np.triu_indices(len(own), 1)
    teacher /= np.linalg.norm(teacher, axis=1, keepdims=True)
    reference = stats.spearmanr((own @ own.T)[upper], (teacher @ teacher.T)[upper]).statistic
    assert row["spearman"] == pytest.approx(reference, abs=1e-3)
    rows = np.array([encoder.encode(s.image, s.text, s.user) for s in contexts if s.split == "test"])
    assert row["mean_pairwise_cosine"] == pytest.approx(
        (rows @ rows.T)[np.triu_indices(len(rows), 1)].mean(), abs=1e-5
    )


def test_retention_of_int8_is_measured_against_the_float_tflite(report):
    rows = {(row["engine"], row["precision"]): row for row in report["engines"]}
    assert list(rows) == [("tflite", "fp32"), ("tflite", "int8"), ("onnx", "fp32"), ("onnx", "int8")]
    for engine in ("tflite", "onnx"):
        own, reference = rows[engine, "int8"], rows["tflite", "fp32"]
        assert own["retention"]["spearman"] == pytest.approx(own["spearman"] / reference["spearman"])
        kinds = [row["screen_class"]["test"]["accuracy"]["all"][0] for row in (own, reference)]
        assert own["retention"]["class test"] == pytest.approx(kinds[0] / kinds[1])
        assert len(own["retention"]) == 9 and rows[engine, "fp32"]["retention"] is None


def test_fidelity_is_that_of_what_an_app_gets_on_every_screen(report, contexts):
    """The worst, percentiles and mean, against embeddings of the runtime; the float file is the reference."""
    float_encoder = ScreenEncoder.load(TINY, "tflite", "fp32")
    reference = np.array([float_encoder.encode(s.image, s.text, s.user) for s in contexts], np.float64)
    for row in report["engines"]:
        if row["precision"] == "fp32":
            assert row["fidelity"] is None
            continue
        encoder = ScreenEncoder.load(TINY, row["engine"], "int8")
        own = np.array([encoder.encode(s.image, s.text, s.user) for s in contexts], np.float64)
        own, other = own - reference.mean(axis=0), reference - reference.mean(axis=0)
        cosines = np.array([1 - spatial.distance.cosine(*pair) for pair in zip(own, other, strict=True)])
        assert list(row["fidelity"]) == ["test", "unseen_kit", "texts"]
        for split, found in list(row["fidelity"].items())[:2]:
            rows = [place for place, sample in enumerate(contexts) if sample.split == split]
            values, worst = cosines[rows], min(rows, key=lambda place: cosines[place])
            assert found["worst_sample"] == contexts[worst].id and found["n"] == len(rows)
            figures = [found[name] for name in ("worst", "p1", "p5", "mean")]
            expected = [values.min(), np.quantile(values, 0.01), np.quantile(values, 0.05), values.mean()]
            assert figures == pytest.approx(expected, abs=1e-5)


def test_fidelity_is_shown_for_both_engines(command, report):
    shown = command(TINY).out
    for row in report["engines"]:
        for part, found in (row["fidelity"] or {}).items():
            name = f"{row['engine']} int8, {part}".replace("_", " ")
            (line,) = (line for line in shown.splitlines() if name in line.lower())
            assert found["worst_sample"] in line and figure_text(found["p5"]) in line


def test_each_limit_on_fidelity_fails_where_its_figure_is_below(report):
    low = json.loads(json.dumps(report))
    for row in low["engines"]:
        for part, limits in budgets.FIDELITY[row["engine"]].items() if row["fidelity"] else ():
            row["fidelity"][part] |= limits  # at the limit: passes
    verdicts = [v for v in budgets.quality_budgets(low) if v.name.startswith("fidelity")]
    assert len(verdicts) == 18 and all(verdict.passed for verdict in verdicts)
    shipped = low["engines"][1]["fidelity"]["unseen_kit"]
    shipped["worst"] -= 0.001
    (failed,) = (v for v in budgets.quality_budgets(low) if v.name.startswith("fidelity") and not v.passed)
    assert failed.name == "fidelity tflite int8 unseen_kit worst"


def test_a_limit_that_fails_ends_with_1_and_one_that_holds_with_0(command, monkeypatch):
    ended = command(TINY)
    assert ended.code == 1 and ended.err == ""
    assert "FAIL" in ended.out and "right text first of 200, R@1" in ended.out and ">= 0.8" in ended.out
    lax = {
        key: (relation, 1.0 if relation == "<=" else -1.0) for key, (relation, _) in budgets.QUALITY.items()
    }
    monkeypatch.setattr(budgets, "QUALITY", lax)
    monkeypatch.setattr(budgets, "RETENTION", 0.0)
    monkeypatch.setattr(budgets, "PARITY_COSINE", 0.0)
    fidelity = {engine: {"test": {"worst": -1.0}} for engine in budgets.FIDELITY}
    monkeypatch.setattr(budgets, "FIDELITY", fidelity)
    assert command(TINY).code == 0
    for planted in lax:
        relation, _ = lax[planted]
        strict = lax | {planted: (relation, -0.99 if relation == "<=" else 0.999)}
        monkeypatch.setattr(budgets, "QUALITY", strict)
        ended = command(TINY)
        assert ended.code == 1
        (failed,) = (line for line in ended.out.splitlines() if "FAIL" in line)
        assert failed.startswith(LINES[planted])
    monkeypatch.setattr(budgets, "QUALITY", lax)
    for name, limit in (("RETENTION", 3.0), ("PARITY_COSINE", 1.1)):
        monkeypatch.setattr(budgets, name, limit)
        assert command(TINY).code == 1
        monkeypatch.setattr(budgets, name, 0.0)
    monkeypatch.setitem(fidelity, "onnx", {"test": {"worst": 1.1}})
    assert command(TINY).code == 0  # limits of another preset
    monkeypatch.setattr(budgets, "FIDELITY_OF", "tiny")
    ended = command(TINY)
    (failed,) = (line for line in ended.out.splitlines() if "FAIL" in line)
    assert ended.code == 1 and failed.startswith("ONNX INT8 test worst")


def test_engines_can_be_chosen_and_the_reference_is_always_there(command):
    report = json.loads(command(TINY, "--json", "--engines", "onnx-int8").out)
    assert [(row["engine"], row["precision"]) for row in report["engines"]] == [
        ("tflite", "fp32"),
        ("onnx", "int8"),
    ]
    assert_refused(command(TINY, "--engines", "tensorrt"), "tensorrt", "tflite-int8")


def test_a_second_run_reads_what_the_first_one_kept(command, tmp_path, monkeypatch):
    monkeypatch.setattr("evaluation.quality.outputs.CACHE", tmp_path / "cache")
    bundle = shutil.copytree(TINY, tmp_path / "bundle")
    first = command(bundle, "--json")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # without this engine, nothing could be run again
    assert command(bundle, "--json").out == first.out
    with (bundle / "vision.onnx").open("ab") as stream:
        stream.write(b"\0")
    assert_refused(command(bundle, "--json"), "vision.onnx: altered since its export")
    accept_file(bundle, "vision.onnx")  # another file: it has to be run, and cannot
    assert_refused(command(bundle, "--json"), "'onnx' needs ONNX Runtime")
    for kept in (tmp_path / "cache").iterdir():
        kept.write_bytes(kept.read_bytes()[:100])
    assert_refused(command(TINY, "--json"), "'onnx' needs ONNX Runtime")  # damaged, so not believed


def test_it_loads_no_pytorch(split_folder, tmp_path):
    script = (
        "import json, sys\nfrom evaluation.__main__ import main\n"
        f"code = main(['quality', {str(TINY)!r}, '--split', {str(split_folder)!r}, '--json'])\n"
        "print(json.dumps([code, sorted({name.split('.')[0] for name in sys.modules})]))"
    )
    environment = {**os.environ, "POCKET_CACHE": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    code, modules = json.loads(run.stdout.splitlines()[-1])
    assert code == 1 and "numpy" in modules
    assert not set(modules) & {"torch", "timm", "transformers", "tensorflow"}


def test_random_weights_are_recorded_once_and_then_shown(command, tmp_path, monkeypatch):
    path = tmp_path / "random_weights.json"
    monkeypatch.setattr(baseline.load, "__defaults__", (path,))
    monkeypatch.setattr(baseline.record, "__defaults__", (path,))
    assert "random weights" not in command(TINY).out
    bundle = shutil.copytree(TINY, tmp_path / "bundle")
    change_manifest(bundle, lambda m: m.update(weights=weights_entry()))
    assert_refused(
        command(bundle, "--record-random"), "the weights of this bundle are not random (checkpoint)"
    )
    assert not path.exists()
    change_manifest(bundle, lambda m: m.update(weights=weights_entry("random")))
    assert command(bundle, "--record-random").code == 1
    ended = command(TINY)
    (line,) = (line for line in ended.out.splitlines() if "random weights" in line)
    everything = next(line for line in ended.out.splitlines() if "everything" in line)
    assert line.count("[") == everything.count("[") == 4
    other = json.loads(path.read_text()) | {"split_sha256": "of another split"}
    path.write_text(json.dumps(other))
    assert "random weights" not in command(TINY).out


@pytest.fixture
def documents(tmp_path, monkeypatch):
    folder = tmp_path / "docs"
    folder.mkdir()
    begin, end = docs.MARKS
    (folder / "results.md").write_text(f"# Before\n{begin}\nold\n{end}\nAfter\n")
    monkeypatch.setattr(docs.write_docs, "__defaults__", (folder,))
    return folder


def test_documentation_holds_the_figures_that_were_measured(command, report, documents):
    assert command(TINY, "--write-docs").code == 1
    text, (begin, end) = (documents / "results.md").read_text(), docs.MARKS
    assert text.startswith(f"# Before\n{begin}\n") and text.endswith(f"{end}\nAfter\n") and "old" not in text
    shipped = report["engines"][1]
    assert f"| {100 * shipped['retrieval']['test']['all']['r1'][0]:.1f} [" in text
    assert f"| {shipped['spearman']:.3f} |" in text
    for picture in (documents / "images").iterdir():
        assert f"](images/{picture.name})" in text and picture.stat().st_size > 1000
    assert (documents / "images" / "quality_map.webp").is_file()
    before = tree(documents)
    command(TINY, "--write-docs")
    assert tree(documents) == before


def test_documentation_without_its_marks_is_left_alone(command, documents):
    (documents / "results.md").write_text("# Mine\n")
    assert_refused(command(TINY, "--write-docs"), "results.md: the lines", "must stand there once")
    assert tree(documents) == {"results.md": b"# Mine\n"}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "samples.jsonl").unlink(), "no test split there"),
        (lambda folder: (folder / "captions.json").unlink(), "captions.json: no such file"),
        (lambda folder: (folder / "captions.json").write_text("{"), "captions.json: not valid JSON"),
        (lambda folder: (folder / "captions.json").write_text('{"mail": ["a"]}'), "no captions of kind search, settings"),
        (lambda folder: (folder / "captions.json").write_text('{"mail": []}'), "captions of 'mail' must be a list of texts"),
        (lambda folder: (folder / "sentences.npz").write_bytes(b"PK"), "sentences.npz: cannot be read as an .npz"),
        (lambda folder: np.savez(folder / "sentences.npz", sentences=np.array(["a"])), "has no array 'embeddings"),
        (lambda folder: np.savez(folder / "sentences.npz", sentences=np.array(["a", "b"]), embeddings=np.eye(2)), "S > 2"),
        (lambda folder: keep(folder, lambda line: '"test"' in line), "no samples of split 'unseen_kit'"),
        (lambda folder: keep(folder, lambda line: "-00" in line or "unseen" in line), "200 are needed"),
        (lambda folder: (folder / "screens" / "test-003.webp").write_bytes(b"RIFF"), "test-003.webp"),
        (lambda folder: (folder / "screens" / "test-003.webp").unlink(), "samples.jsonl:4: no such image"),
    ],
)  # fmt: skip
def test_bad_test_splits(command, split_folder, tmp_path, spoil, message):
    folder = shutil.copytree(split_folder, tmp_path / "split")
    spoil(folder)
    assert_refused(command(TINY, "--split", folder), message)


def keep(folder, wanted) -> None:
    path = folder / "samples.jsonl"
    path.write_text("".join(line for line in path.read_text().splitlines(keepends=True) if wanted(line)))


def test_bad_use(command, tmp_path):
    assert_refused(command(tmp_path / "none"), "no such bundle folder")
    assert_refused(command(tmp_path), "not a bundle: it has no manifest.json")
    assert_refused(command(TINY, "--engine", "onnx"), "unknown argument --engine", "--engines")
    assert_refused(command(), "BUNDLE")


def test_texts_with_marks_of_markdown_or_of_the_terminal_are_shown_as_they_are():
    table = Table("worst", ("", "the worst one"), (("texts", "either|or [bold]now[/] [/x]"),))
    assert "| texts | either\\|or [bold]now[/] [/x] |" in docs.markdown(table)
    console = Console(width=80, file=io.StringIO())
    console.print(rich_table(table))
    assert "either|or [bold]now[/] [/x]" in console.file.getvalue()
