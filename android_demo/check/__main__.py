"""Command line: python -m android_demo.check DIST, which `make android` runs."""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from filelock import FileLock

from android_demo.check import ROOT, apk, inputs, kotlin, report, tools
from android_demo.check.work import ASSETS, LOCK
from runtime.bundle import Bundle
from runtime.command_line import Parser, error_line
from runtime.errors import InputError
from runtime.report import plain_json
from runtime.terminal import Progress, quiet_engine


def build_parser() -> argparse.ArgumentParser:
    """The command line's parser."""
    parser = Parser(
        prog="python -m android_demo.check",
        description="Compile, test and package the Android library and app without an Android SDK, and "
        "compare what they compute with the Python runtime.",
        epilog="Exit status: 0 all well, 1 a test or limit failed, 2 bad use. The report stays in "
        "build/android/report.txt.",
    )  # fmt: skip
    parser.add_argument(
        "bundle",
        metavar="DIST",
        nargs="?",
        default=ROOT / "dist" / "balanced",
        type=Path,
        help="default: dist/balanced",
    )
    parser.add_argument("--assets", action="store_true", help="only lay out the assets, for Android Studio")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


class _Steps:
    """Runs steps one after another, times them, and shows which one runs."""

    def __init__(self, total: int, progress: Progress) -> None:
        self._total, self._progress = total, progress
        self._name = ""
        self.seconds: dict[str, float] = {}

    def __call__(self, name: str, work: Callable[[], Any]) -> Any:
        self._name = name
        self.say(name)
        begin = time.monotonic()
        result = work()
        self.seconds[name] = round(time.monotonic() - begin, 1)
        return result

    def say(self, what: str) -> None:
        """Shows what happens within a step."""
        shown = what if what == self._name else f"{self._name}: {what}"
        self._progress(len(self.seconds), self._total, shown)


def check(bundle: Bundle, progress: Progress) -> report.Report:
    """Does everything.

    Raises:
        InputError: A program is missing, a tool failed, or the bundle cannot be used.
    """
    steps = _Steps(6, progress)
    steps("programs", tools.install_programs)
    steps("libraries", tools.fetch_libraries)
    steps("inputs", lambda: (inputs.make_assets(bundle), inputs.make_fixtures(bundle)))
    steps("resources", kotlin.link_resources)
    classes = steps("tests", lambda: kotlin.run_tests(steps.say))
    failed = any(found.failed for found in classes)
    packed = None if failed else steps("package", apk.build)
    return report.Report(
        bundle.manifest["preset"],
        classes,
        report.read_figures(),
        packed,
        report.list_screenshots(),
        steps.seconds,
    )


def _run(arguments: argparse.Namespace, stderr: IO[str]) -> int:
    bundle = inputs.open_bundle(arguments.bundle)
    if arguments.assets:
        with FileLock(LOCK):
            inputs.make_assets(bundle)
        print(f"the app's assets are in {ASSETS}")
        return 0
    progress = Progress(stderr)
    try:
        with FileLock(LOCK):
            found = check(bundle, progress)
    finally:
        progress.close()
    report.write(found)
    print(plain_json(found.to_dict()) if arguments.json else report.text(found))
    return 0 if found.passed else 1


@contextmanager
def _java_files() -> Iterator[None]:
    """Gives Java's programs a folder for their temporary files, which they leave behind."""
    with tempfile.TemporaryDirectory(prefix="pocket-android-", ignore_cleanup_errors=True) as folder:
        os.environ["JAVA_TOOL_OPTIONS"] = f"-Djava.io.tmpdir={folder} -XX:-UsePerfData"
        yield


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the check.

    Returns:
        0 = well, 1 = a test or limit failed, 2 = bad use or bad input, 130 = interrupted.
    """
    arguments = build_parser().parse_args(argv)
    try:
        with quiet_engine() as stderr, _java_files():
            return _run(arguments, stderr)
    except InputError as error:
        sys.stderr.write(error_line(error))
        return 2
    except OSError as error:
        sys.stderr.write(error_line(f"{error.filename or 'output'}: {error.strerror or error}"))
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
