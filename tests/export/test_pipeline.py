"""The life of an export, on steps that take no time: real command, pipeline, workers, files and signals."""

import os
import shutil
import signal
from pathlib import Path

import pytest

MADE = "both(first(0), second(0), 0)"
HOST = "--no-arm64"


def test_independent_steps_run_side_by_side_and_each_once_for_the_same_inputs(exports):
    code, printed, error = exports.run(
        HOST, befalls={"first": "meets the other", "second": "meets the other"}
    )
    assert (code, error) == (0, "") and "cannot be kept and is exported anew" in printed
    first, second, *others = exports.ran()
    assert {first, second} == {"first", "second"} and others == ["both", "bundle"]
    assert exports.made() == MADE and exports.left_behind() == []
    assert "unchanged, nothing to do" in exports.run(HOST)[1] and exports.ran() == []
    shutil.rmtree(exports.out)
    assert exports.run(HOST)[1].count("(unchanged)") == 3 and exports.ran() == ["bundle"]


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_export_leaves_the_old_bundle_and_the_next_one_goes_on(exports, end):
    for step, begun in (("both", {"first", "second", "both"}), ("bundle", {"both", "bundle"})):
        process = exports.start(HOST, befalls={step: "waits"})
        exports.wait_for(step)
        if end == signal.SIGINT:
            os.killpg(process.pid, end)  # Ctrl-C reaches the workers too
        else:
            process.kill()
        error = process.communicate(timeout=10)[1]  # at its end the workers are gone: they hold the pipe too
        assert set(exports.ran()) == begun and exports.made() == ""
        if end == signal.SIGINT:
            assert process.returncode == 130 and exports.left_behind() == []
            assert error == "error: interrupted; the bundle in place, if any, is as it was\n"
        else:
            assert process.returncode == -end and len(exports.left_behind()) == 1
    assert exports.run(HOST)[0] == 0 and exports.ran() == ["bundle"]
    assert exports.made() == MADE and exports.left_behind() == []


def test_two_exports_at_once_do_not_mix(exports):
    shutil.rmtree(exports.out)
    both = [exports.start(HOST, befalls={"first": "takes a second"}) for _ in range(2)]
    assert [(process.communicate(timeout=60)[1], process.returncode) for process in both] == [("", 0)] * 2
    assert sorted(exports.ran()) == ["both", "bundle", "bundle", "first", "second"]
    assert exports.made() == MADE and exports.left_behind() == []


KILLED = "A process in the process pool was terminated abruptly"


@pytest.mark.parametrize(
    ("step", "how", "code", "line"),
    [
        ("second", "fails", 1, "step 'second' failed: no kernel for Frobnicate; what the tools printed: "),
        ("second", "refuses", 2, "screens: all alike\n"),
        ("second", "fills the disk", 1, "step 'second' failed: [Errno 28] No space left on device"),
        ("bundle", "fills the disk", 1, "step 'bundle' failed: [Errno 28] No space left on device"),
        ("bundle", "is killed", 1, f"step 'bundle' failed: {KILLED}"),
    ],
)
def test_a_step_that_fails_ends_the_export_at_once_and_leaves_the_old_bundle(exports, step, how, code, line):
    beside = {"first": "waits"} if step == "second" else {}
    ended, _, error = exports.run(HOST, befalls=beside | {step: how})
    assert ended == code and error.startswith(f"error: {line}") and error.count("\n") == 1, error
    assert exports.made() == "" and exports.left_behind() == []
    if how == "fails":
        assert "printed by a tool\n" in Path(error.split()[-1]).read_text()
