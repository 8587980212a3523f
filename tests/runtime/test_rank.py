"""Ranking candidate texts: by hand the same scores, and one clear line for everything that cannot be ranked."""

import json

import numpy as np
import pytest

from runtime import ScreenEncoder
from runtime.bundle import ENGINES
from runtime.session import CACHED_CANDIDATES, CandidatesError, NoScreenError
from tests.runtime.test_cli import assert_refused

TEXTS = ["see you at", "hello world", "the mail", "settings", "42"]
USER = [round(0.01 * number, 2) for number in range(64)]


@pytest.fixture(params=ENGINES)
def encoder(request, tiny) -> ScreenEncoder:
    return ScreenEncoder.load(tiny, engine=request.param, precision="fp32")


def test_scores_are_cosines_and_the_best_comes_first(encoder, screen):
    ranked = encoder.rank(screen, "see", TEXTS, USER)
    embedding = encoder.encode(screen, "see", USER)
    expected = {}
    for text in TEXTS:
        token = encoder.text_embedding(text)
        expected[text] = float(np.dot(embedding, token) / np.linalg.norm(embedding) / np.linalg.norm(token))
    assert [entry.candidate for entry in ranked] == sorted(TEXTS, key=expected.get, reverse=True)
    for candidate, score in ranked:
        assert score == pytest.approx(expected[candidate], abs=1e-6) and -1 <= score <= 1
    assert len({entry.score for entry in ranked}) == len(TEXTS)


def test_equal_scores_keep_the_given_order(encoder, screen):
    ranked = encoder.rank(screen, "", ["hello", "Hello", "see", "HELLO"])  # the tokenizer lowers case
    assert [entry.candidate for entry in ranked if entry.candidate.lower() == "hello"] == [
        "hello",
        "Hello",
        "HELLO",
    ]


def test_no_image_means_the_last_screen(encoder, screen):
    with pytest.raises(NoScreenError):
        encoder.rank(None, "see", TEXTS)
    first = encoder.rank(screen, "see", TEXTS, USER)
    assert encoder.rank(None, "see", TEXTS, USER) == first
    assert encoder.rank(None, "see", iter(TEXTS), USER) == first


def test_known_candidates_are_not_encoded_again(encoder, screen):
    """Counted in the runs of the text model itself: one for the typed text, one for each new candidate."""
    runs = []
    run = encoder._engine.run
    encoder._engine.run = lambda signature, arrays: runs.append(signature) or run(signature, arrays)
    encoder.rank(screen, "see", TEXTS)
    assert runs.count("text") == 1 + len(TEXTS)
    runs.clear()
    encoder.rank(None, "see you", TEXTS)
    assert runs.count("text") == 1 and runs.count("vision") == 0
    encoder.rank(None, "see you", [*TEXTS, "new"])
    assert runs.count("text") == 3


def test_memory_is_bounded_and_the_oldest_is_forgotten(encoder, screen, monkeypatch):
    assert CACHED_CANDIDATES >= 1000
    monkeypatch.setattr("runtime.session.CACHED_CANDIDATES", 3)
    ranked = encoder.rank(screen, "", TEXTS)
    assert len(ranked) == len(TEXTS) and len(encoder._candidates) == 3
    encoder.rank(None, "", [TEXTS[2]])
    encoder.rank(None, "", ["new"])
    assert TEXTS[2] in encoder._candidates and TEXTS[3] not in encoder._candidates


@pytest.mark.parametrize(
    ("candidates", "message"),
    [
        ([], "no candidates to rank"),
        ("hello", "must be a list of texts, not str"),
        (None, "must be a list of texts, not NoneType"),
        (["a", 5], "the one at position 1 is int"),
        (["a", None], "the one at position 1 is NoneType"),
    ],
)
def test_other_candidates_are_refused_before_anything_runs(encoder, screen, candidates, message):
    with pytest.raises(CandidatesError, match=message):
        encoder.rank(screen, "see", candidates)
    with pytest.raises(NoScreenError):
        encoder.encode_text("see")


@pytest.fixture
def candidates(tmp_path):
    path = tmp_path / "candidates.txt"
    path.write_bytes("\ufeffhello world\r\nthe mail\n\nsee you at\nпривет\n".encode())
    return path


def test_the_command_ranks_a_file(tiny, screen, candidates, command):
    expected = ScreenEncoder.load(tiny).rank(
        screen, "see", ["hello world", "the mail", "see you at", "привет"], USER
    )
    options = ("--text", "see", "--candidates", candidates, "--user", ",".join(map(str, USER)))
    ended = command("rank", tiny, screen, *options, "--json")
    assert ended.code == 0
    found = json.loads(ended.out)
    assert [(row["candidate"], row["score"]) for row in found["ranked"]] == [
        tuple(entry) for entry in expected
    ]
    ended = command("rank", tiny, screen, *options, "--top", 2)
    assert ended.code == 0 and ended.err == ""
    assert "4 candidates for 'see'" in ended.out and "the best 2" in ended.out
    lines = ended.out.rstrip().splitlines()[-2:]
    for line, place, entry in zip(lines, "12", expected, strict=False):
        assert line.startswith(place) and line.endswith(entry.candidate) and f"{entry.score:+.4f}" in line
        assert "." in line and len(line) > 30


@pytest.mark.parametrize("engine", ENGINES)
def test_the_command_uses_the_engine_it_is_told(tiny, screen, candidates, command, engine):
    expected = ScreenEncoder.load(tiny, engine, "fp32").rank(screen, "", ["the mail"])
    candidates.write_text("the mail\n")
    options = ("--candidates", candidates, "--engine", engine, "--precision", "fp32", "--json")
    found = json.loads(command("rank", tiny, screen, *options).out)
    assert found["ranked"] == [{"candidate": "the mail", "score": expected[0].score}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no candidates: write one a line"),
        (b"\n \r\n\n", "holds no candidates"),
        (b"caf\xe9\n", "not UTF-8 at byte 3"),
        (None, "no such file of candidates"),
    ],
)
def test_bad_candidate_files(tiny, screen, tmp_path, command, content, message):
    path = tmp_path / "bad.txt"
    if content is not None:
        path.write_bytes(content)
    assert_refused(command("rank", tiny, screen, "--candidates", path), "bad.txt", message)


def test_bad_use(tiny, screen, candidates, command):
    assert_refused(command("rank", tiny, screen), "--candidates")
    assert_refused(
        command("rank", tiny, screen, "--candidates", candidates, "--top", 0), "--top must be at least 1"
    )
    assert_refused(
        command("rank", tiny, "none.png", "--candidates", candidates), "none.png: no such image file"
    )
    assert_refused(
        command("rank", tiny, screen, "--candidates", candidates, "--user", "1,2"), "must be 64 numbers"
    )
