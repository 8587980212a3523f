"""`python -m android_demo.check` as a user runs it: the app is compiled, tested, packed and signed."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from android_demo.check import texts, tools
from encoder.modules.regions import REGION_BOXES
from runtime import bpe, tokenizer
from tests.conftest import ROOT, missing

DEMO = ROOT / "android_demo"
DOCUMENT = ROOT / "docs" / "android.md"
APK_BYTES = 12_000_000
PARITY = {"images", "profiles", "users", "embeddings", "ranking", "golden", *texts.SOURCES}
"""What every bundle is compared in; `regions` too, where its model finds them."""
TABLES = (tokenizer.CHARACTERS, bpe.CHARACTERS)


def run_check(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "android_demo.check", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def checked(bundle: Path) -> dict:
    """The report of a check whose tests passed; its APK may be too large."""
    if tools.missing_packages() and (os.geteuid() != 0 or not shutil.which("apt-get")):
        missing(f"{', '.join(tools.missing_packages())} are not installed")
    run = run_check(bundle, "--json")
    assert run.stdout, run.stderr
    found = json.loads(run.stdout)
    failures = [f"{c['name']}.{failure}" for c in found["tests"] for failure in c["failed"]]
    assert not failures, "\n".join(failures)
    assert run.returncode == (0 if found["passed"] else 1), run.stderr
    return found


@pytest.fixture(scope="module")
def report(bundle_dir) -> dict:
    found = checked(bundle_dir)
    assert found["passed"]
    return found


def test_every_test_on_the_jvm_ran_and_passed(report):
    assert sum(found["tests"] for found in report["tests"]) >= 70
    assert all(not found["failed"] and found["skipped"] == 0 for found in report["tests"])


def parity_rows(report: dict) -> dict[str, dict]:
    """What Kotlin was compared with Python in, by its name."""
    prefix = "parity_"
    return {k.removeprefix(prefix): row for k, row in report["figures"].items() if k.startswith(prefix)}


def test_kotlin_computes_what_python_computes(report):
    rows = parity_rows(report)
    assert rows.keys() == PARITY
    assert all(row["passed"] for row in rows.values())
    cases = texts.CASES.read_text(encoding="ascii").count("\n")
    assert cases > 2000 and all(rows[kind]["compared"] > 2 * cases for kind in texts.SOURCES)


def test_the_apk_is_signed_small_and_asks_for_nothing(report):
    apk = report["apk"]
    assert Path(apk["path"]).stat().st_size == apk["size_bytes"] <= APK_BYTES
    assert apk["permissions"] == []
    assert apk["abis"] == ["arm64-v8a"]
    assert apk["library_offset_aligned"]
    assert any("v3 scheme" in line and line.endswith("true") for line in apk["signature"])
    subprocess.run(["apksigner", "verify", apk["path"]], check=True)
    subprocess.run(["zipalign", "-c", "4", apk["path"]], check=True)


def test_the_regions_that_the_app_draws_are_the_encoders(report):
    assert report["figures"]["regions"] == {name: list(box) for name, box in REGION_BOXES.items()}


def test_the_app_was_drawn_light_dark_on_phone_and_tablet_right_to_left_and_in_trouble(report):
    names = {Path(name).stem for name in report["screenshots"]}
    assert {"main_phone_light", "main_phone_dark", "main_phone_rtl", "main_tablet_light"} <= names
    assert {"error_image_phone_light", "error_open_phone_dark", "check_phone_light"} <= names


@pytest.mark.parametrize("arguments", [["nowhere"], ["--unknown"]])
def test_bad_use_is_one_line_and_exit_2(arguments):
    run = run_check(*arguments)
    assert run.returncode == 2 and run.stdout == ""
    assert run.stderr.startswith("error: ") and run.stderr.count("\n") == 1


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.stem)
def test_the_library_carries_the_runtimes_own_tables_of_characters(table):
    carried = DEMO / "encoder" / "src" / "main" / "resources" / "dev" / "pocketencoder" / table.name
    assert carried.read_bytes() == table.read_bytes(), f"copy {table} to {carried}"


def test_maven_and_gradle_use_the_same_versions():
    catalogue = tomllib.loads((DEMO / "gradle" / "libs.versions.toml").read_text())["versions"]
    space = {"m": "http://maven.apache.org/POM/4.0.0"}
    pom = ElementTree.parse(DEMO / "pom.xml").getroot().find("m:properties", space)
    for in_pom, in_gradle in {"kotlin.version": "kotlin", "tensorflow.version": "tensorflowLite"}.items():
        assert pom.find(f"m:{in_pom}", space).text == catalogue[in_gradle]


def marked(path: Path, name: str) -> str:
    """The code between `doc:NAME` and `doc:end`, without its indentation."""
    text = path.read_text(encoding="utf-8")
    lines = re.search(rf"[^\n]*doc:{name}\n(.*?)\n[^\n]*doc:end", text, re.DOTALL)[1].split("\n")
    indent = min(len(line) - len(line.lstrip()) for line in lines if line.strip())
    return "\n".join(line[indent:] for line in lines)


def snippets(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)\n```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)


def test_what_the_document_shows_is_code_that_runs():
    keyboard = DEMO / "encoder" / "src" / "hostTest" / "kotlin" / "dev" / "pocketencoder" / "EmbedTest.kt"
    assert [snippet.removesuffix("\n}") for snippet in snippets("kotlin")] == [marked(keyboard, "embed")]
    gradle = snippets("gradle")
    assert marked(DEMO / "app" / "build.gradle.kts", "no-compress") in gradle
    catalogue = tomllib.loads((DEMO / "gradle" / "libs.versions.toml").read_text())["versions"]
    assert any(
        f"org.tensorflow:tensorflow-lite:{catalogue['tensorflowLite']}" in snippet for snippet in gradle
    )


def test_the_commands_that_the_document_shows_copy_all_that_is_needed(tmp_path, bundle_dir):
    (tmp_path / "your-app").mkdir()
    shutil.copytree(DEMO / "encoder", tmp_path / "pocket-encoder" / "android_demo" / "encoder")
    (tmp_path / "pocket-encoder" / "dist").mkdir()
    (tmp_path / "pocket-encoder" / "dist" / "balanced").symlink_to(bundle_dir)
    (commands,) = [text for text in snippets("sh") if "cp " in text]
    subprocess.run(["bash", "-euc", commands], cwd=tmp_path / "pocket-encoder", check=True)
    main = tmp_path / "your-app" / "app" / "src" / "main"
    copied = {path.name for path in (main / "assets" / "balanced").iterdir()}
    assert copied == {"manifest.json", "vocab.txt", "encoder.tflite"}
    assert (main / "kotlin" / "dev" / "pocketencoder" / "ScreenEncoder.kt").is_file()
    assert all((main / "resources" / "dev" / "pocketencoder" / table.name).is_file() for table in TABLES)


def exported(*arguments: object) -> None:
    command = [sys.executable, "-m", "export", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.exhaustive
def test_kotlin_finds_the_regions_that_python_finds():
    exported("balanced_sam")
    rows = parity_rows(checked(ROOT / "dist" / "balanced_sam"))
    assert rows.keys() == PARITY | {"regions"}
    assert all(row["passed"] for row in rows.values())
    assert rows["regions"]["compared"] == 32 * len(REGION_BOXES)


@pytest.mark.exhaustive
def test_kotlin_runs_a_bundle_with_byte_level_bpe(tmp_path):
    config, bundle = tmp_path / "config.json", tmp_path / "bundle"
    config.write_text(json.dumps({"text_model": "roberta_tiny"}))
    exported("roberta", "--config", config, "--out", bundle)
    rows = parity_rows(checked(bundle))
    assert rows.keys() == PARITY
    assert all(row["passed"] for row in rows.values())
