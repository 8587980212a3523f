"""Resources, Kotlin and the tests on the JVM."""

import importlib.util
import re
import subprocess
import tomllib
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from android_demo.check import DEMO, AndroidError
from android_demo.check.tools import POM, run
from android_demo.check.work import (
    ASSETS,
    GENERATED,
    LIB,
    LOGS,
    RESULTS,
    SCREENSHOTS,
    TARGET,
    TEST_RESOURCES,
    WORK,
    digest,
)
from runtime.files import STAMP, make_once

PACKAGE = "dev.pocketencoder.demo"
RESOURCES = DEMO / "app" / "src" / "main" / "res"
MANIFEST = DEMO / "app" / "src" / "main" / "AndroidManifest.xml"
CATALOGUE = DEMO / "gradle" / "libs.versions.toml"
_RUNNING = re.compile(r"Running (?:\w+\.)*(\w+)")


@dataclass(frozen=True)
class TestClass:
    """How the tests of a class ended.

    Attributes:
        name: The class, without its package.
        tests: Number of tests.
        seconds: How long they took.
        failed: "test: message" of each that failed.
        skipped: Number of tests that did not run.
    """

    name: str
    tests: int
    seconds: float
    failed: tuple[str, ...]
    skipped: int


def versions() -> dict[str, str]:
    """The version catalogue's versions."""
    return tomllib.loads(CATALOGUE.read_text())["versions"]


def link_resources() -> None:
    """Links the app's manifest, resources and assets, against the Android that Kotlin is compiled against.

    Leaves R.java, the linked archive, and the rules that keep what manifest and layouts name in GENERATED.

    Raises:
        AndroidError: aapt2 refused a resource.
    """
    make_once(GENERATED, digest([RESOURCES, MANIFEST, CATALOGUE, ASSETS / STAMP, Path(__file__)]), _link)
    folder = TEST_RESOURCES / "com" / "android" / "tools"
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "android_custom_package": PACKAGE,
        "android_merged_manifest": GENERATED / "AndroidManifest.xml",
        "android_resource_apk": GENERATED / "resources.apk",
    }
    (folder / "test_config.properties").write_text(
        "".join(f"{key}={value}\n" for key, value in config.items())
    )


def _link(folder: Path) -> None:
    found = versions()
    code, name, least, target = (
        found[key] for key in ("appVersionCode", "appVersionName", "minSdk", "targetSdk")
    )
    attributes = f'package="{PACKAGE}" android:versionCode="{code}" android:versionName="{name}"'
    sdk = f'<uses-sdk android:minSdkVersion="{least}" android:targetSdkVersion="{target}" />'
    manifest = MANIFEST.read_text().replace("<manifest ", f"<manifest {attributes} ", 1)
    manifest = manifest.replace("<application", f"{sdk}\n    <application", 1)
    (folder / "AndroidManifest.xml").write_text(manifest)
    run(["aapt2", "compile", "--dir", RESOURCES, "-o", folder / "compiled.zip"], "resources")
    run(
        ["aapt2", "link", "-I", LIB / "android-all.jar", "--manifest", folder / "AndroidManifest.xml",
         "-A", ASSETS, "-0", ".tflite", "-0", ".webp", "--java", folder, "--proguard", folder / "keep.pro",
         "-o", folder / "resources.apk", folder / "compiled.zip"],
        "resources",
    )  # fmt: skip


def run_tests(on_class: Callable[[str], None]) -> list[TestClass]:
    """Compiles library and app and runs their tests.

    Args:
        on_class: Called with the name of each test class as it begins.

    Raises:
        AndroidError: The Kotlin does not compile, or the tests did not run to their end.
    """
    for folder in (RESULTS, SCREENSHOTS, TARGET / "surefire-reports"):
        for stale in folder.glob("*") if folder.is_dir() else []:
            if stale.is_file():
                stale.unlink()
    command = [
        "mvn",
        "--batch-mode",
        "--file",
        str(POM),
        f"-Dwork={WORK}",
        f"-Dlitert={litert_library()}",
        "test",
    ]
    LOGS.mkdir(parents=True, exist_ok=True)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if match := _RUNNING.search(line):
                on_class(match[1])
    (LOGS / "tests.txt").write_text("".join(lines))
    classes = _read_reports()
    if not classes or (process.returncode != 0 and not any(found.failed for found in classes)):
        error = next((line for line in lines if line.startswith("[ERROR]")), "no test ran")
        raise AndroidError(f"the tests did not run: {error.strip()} (see {LOGS / 'tests.txt'})")
    return classes


def litert_library() -> Path:
    """LiteRT's C library, of the wheel that the Python runtime uses.

    Raises:
        AndroidError: It is not installed.
    """
    spec = importlib.util.find_spec("ai_edge_litert")
    library = Path(spec.submodule_search_locations[0]) / "libLiteRt.so" if spec else None
    if library is None or not library.is_file():
        raise AndroidError("LiteRT's C library is not installed: pip install ai-edge-litert")
    return library


def _read_reports() -> list[TestClass]:
    found = []
    for path in sorted((TARGET / "surefire-reports").glob("TEST-*.xml")):
        suite = ElementTree.parse(path).getroot()
        failed = tuple(
            f"{case.get('name')}: {(problem.get('message') or problem.get('type') or '').splitlines()[0]}"
            for case in suite.iter("testcase")
            for problem in (*case.findall("failure"), *case.findall("error"))
        )
        name = suite.get("name").rpartition(".")[2]
        found.append(
            TestClass(
                name, int(suite.get("tests")), float(suite.get("time")), failed, int(suite.get("skipped"))
            )
        )
    return found
