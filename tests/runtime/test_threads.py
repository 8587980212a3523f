"""One encoder for several threads, in a forked process, and at a user's terminal."""

import gc
import os
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from runtime import ScreenEncoder
from runtime.bundle import ENGINES
from runtime.lock import ForkedError

ROOT = Path(__file__).parents[2]
TEXTS = ("see", "see you", "see you at", "hello", "call me", "go to the checkout", "x", "")
CHILD_S = 10

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@pytest.fixture(params=ENGINES)
def engine(request) -> str:
    return request.param


def test_eight_threads_get_the_right_bits_from_one_encoder(engine, tiny):
    encoder = ScreenEncoder.load(tiny, engine)
    screens = np.random.default_rng(4).integers(0, 256, (3, 32, 16, 3), dtype=np.uint8)
    users = [None, np.full(64, 0.1), np.full(64, 1e30)]
    calls = []
    for number in range(24):
        screen, text, user = screens[number % 3], TEXTS[number % 8], users[number % 5 % 3]
        calls.append(lambda screen=screen, text=text, user=user: encoder.encode(screen, text, user))
        calls.append(lambda text=text: encoder.text_embedding(text))
        calls.append(lambda screen=screen: encoder.encode_screen(screen))
        calls.append(
            lambda screen=screen, text=text, user=user: np.array(
                [score for _, score in encoder.rank(screen, text, TEXTS, user)]
            )
        )
    expected = [call().tobytes() for call in calls]

    def work(seed: int) -> int:
        order = np.random.default_rng(seed).integers(0, len(calls), 60)
        return sum(calls[place]().tobytes() != expected[place] for place in order)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == [0] * 8


def ended(child) -> str:
    """Runs a function in a forked process; returns what it says, or that it hangs."""
    reader, writer = os.pipe()
    process = os.fork()
    if process == 0:  # no test goes on in here, whatever happens
        try:
            os.write(writer, child().encode())
        except BaseException as error:
            os.write(writer, repr(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    end = time.monotonic() + CHILD_S
    while os.waitpid(process, os.WNOHANG)[0] == 0:
        if time.monotonic() > end:
            os.kill(process, 9)
            os.waitpid(process, 0)
            return "hangs"
        time.sleep(0.002)
    with os.fdopen(reader, "rb") as said:
        return said.read().decode()


@needs_fork
@pytest.mark.parametrize("busy", [False, True])
def test_a_forked_process_goes_on_with_an_encoder_of_one_thread(engine, tiny, screen, busy):
    encoder = ScreenEncoder.load(tiny, engine)
    expected = encoder.encode(screen, "see").tobytes()
    stop = threading.Event()

    def type_on() -> None:
        while not stop.wait(0.001):  # the lock is not a fair one
            encoder.encode_text(" " * 200_000)  # takes a while

    thread = threading.Thread(target=type_on)
    if busy:
        thread.start()
    try:
        for _ in range(5):
            assert ended(lambda: str(encoder.encode(screen, "see").tobytes() == expected)) == "True"
            assert encoder.encode(screen, "see").tobytes() == expected
    finally:
        stop.set()
        if busy:
            thread.join()


@needs_fork
def test_a_forked_process_is_told_what_to_do_with_an_encoder_of_more(engine, tiny, screen):
    encoder = ScreenEncoder.load(tiny, engine, threads=2)
    expected = encoder.encode(screen, "see").tobytes()
    for call in (
        lambda: encoder.encode(screen, "see"),
        lambda: encoder.encode_screen(screen),
        lambda: encoder.encode_text("see"),
        lambda: encoder.text_embedding("see"),
        lambda: encoder.rank(None, "see", ["a"]),
    ):
        said = ended(lambda call=call: str(call()))
        assert said.startswith(ForkedError.__name__), said
        assert "load it in the forked process" in said and "spawn" in said
    assert ended(lambda: str(len(ScreenEncoder.load(tiny, engine).encode(screen, "see")))) == "256"
    assert encoder.encode(screen, "see").tobytes() == expected  # the parent's is as it was


@needs_fork
def test_forks_keep_no_encoder_alive(tiny):
    encoder = ScreenEncoder.load(tiny)
    assert ended(lambda: "well") == "well"
    known = weakref.ref(encoder)
    del encoder
    gc.collect()
    assert known() is None


@pytest.mark.parametrize(
    "options", ["'tflite'", "'tflite', 'fp32'", "'tflite', weight_cache=False", "'onnx'"]
)
def test_nothing_reaches_a_users_terminal(tiny, tmp_path, options):
    program = (
        "import os, numpy as np; from runtime import ScreenEncoder; "
        f"encoder = ScreenEncoder.load({str(tiny)!r}, {options}); "
        "encoder.encode(np.zeros((9, 9, 3), np.uint8), 'see'); os.write(2, b'own')"
    )
    environment = os.environ | {"POCKET_WEIGHT_CACHE": str(tmp_path / "cache")}
    for _ in range(2):  # the second time with the weights packed
        ran = subprocess.run(
            [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, timeout=60
        )
        assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"", b"own")


def test_nor_from_the_interpreter_that_other_versions_of_litert_get(tiny):
    program = (
        "import os, numpy as np; from ai_edge_litert import interpreter; from pathlib import Path; "
        "from runtime.engines import InterpreterModel; "
        f"model = InterpreterModel(Path({str(tiny / 'encoder.tflite')!r}), 1, interpreter); "
        "model.run('vision', {'image': np.zeros((1, 256, 128, 3), np.uint8)}); os.write(2, b'own')"
    )
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, timeout=60)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"", b"own")
