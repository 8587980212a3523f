"""A small test split of coloured screens, written as the real one is, and the command run on the tiny bundle."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from calibration_data.generator.test_split import write_split
from calibration_data.samples import Sample
from evaluation.__main__ import main
from tests.runtime.conftest import TINY

KINDS = ("mail", "search", "settings")
WORDS = [
    "see",
    "you",
    "at",
    "the",
    "hello",
    "world",
    "mail",
    "search",
    "settings",
    "password",
    "alpha",
    "bravo",
    "cedar",
    "delta",
    "eagle",
]
TYPED, UNSEEN = 210, 12


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


def samples() -> list[Sample]:
    """Contexts whose texts are different words and numbers; nobody types on every fifth."""
    random = np.random.default_rng(11)
    found = []
    for number in range(TYPED + UNSEEN):
        split = "test" if number < TYPED else "unseen_kit"
        kind = KINDS[number % 3]
        typed = " ".join(random.choice(WORDS, 3)) if number % 5 else ""
        target = f"{typed} {WORDS[number % 7]} {number}" if typed else f"open {kind} {number}"
        siblings = tuple(f"{target} {ending}" for ending in ("ok", "lol", "bye")) if typed else ()
        found.append(Sample(
            id=f"{split}-{number:03}", split=split, image=Path("unused"), text=typed, kind=kind, view=f"{kind}/main",
            user=tuple(np.round(random.normal(size=64) / 8, 4).tolist()), user_style="terse", language="en",
            kit="weui" if split == "unseen_kit" else ("onsenui", "framework7")[number % 2],
            target=target, target_group=target, siblings=siblings, caption=f"a {kind} screen",
        ))  # fmt: skip
    return found


def webp(number: int) -> bytes:
    """A screen of one colour a kind and a block of another."""
    random = np.random.default_rng(number)
    pixels = np.full((256, 128, 3), 40 + 80 * (number % 3), np.uint8)
    pixels[64:128] = random.integers(0, 256, 3)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", quality=80)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def split_folder(tmp_path_factory) -> Path:
    """The small test split; not to be changed."""
    folder = tmp_path_factory.mktemp("quality") / "split"
    random = np.random.default_rng(13)
    sentences = [" ".join(random.choice(WORDS, 6)) for _ in range(60)]
    teacher = random.normal(size=(60, 16))
    teacher /= np.linalg.norm(teacher, axis=1, keepdims=True)
    captions = {kind: [f"a {kind} screen", f"the {kind}"] for kind in KINDS}
    chosen = samples()
    write_split(folder, chosen, [webp(number) for number in range(len(chosen))], captions, sentences, teacher)
    return folder


@pytest.fixture(scope="session")
def cache(tmp_path_factory) -> Path:
    """Where all tests keep what engines made."""
    return tmp_path_factory.mktemp("quality") / "cache"


@pytest.fixture
def command(capfd, monkeypatch, cache, split_folder) -> Callable[..., Ended]:
    """Runs `python -m evaluation quality` in this process; on the small split where no other is named."""
    monkeypatch.setattr("evaluation.quality.outputs.CACHE", cache)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> Ended:
        given = [str(argument) for argument in arguments]
        if "--split" not in given:
            given += ["--split", str(split_folder)]
        try:
            code = main(["quality", *given])
        except SystemExit as stop:  # argparse's way out
            code = stop.code
        captured = capfd.readouterr()
        return Ended(code, captured.out, captured.err)

    return run


@pytest.fixture
def report(command) -> dict:
    """What the command prints of the tiny bundle as JSON."""
    return json.loads(command(TINY, "--json").out)
