"""Texts of any length: what is computed without padding is what is computed with it, at a cost that follows."""

import numpy as np
import pytest

from runtime.bundle import Bundle, select_files
from runtime.engines import Engine, open_model
from runtime.metrics import cosine
from runtime.model import EngineError
from runtime.session import ScreenEncoder
from tests.conftest import missing

LENGTHS = (3, 8, 13, 16, 24, 31, 32, 48, 63, 64)
"""In tokens, start and end included."""


@pytest.fixture(scope="module")
def bundle(bundle_dir) -> Bundle:
    return Bundle.load(bundle_dir)


def texts() -> list[tuple[np.ndarray, np.ndarray]]:
    """Ids and mask of a text of each length, padded to 64."""
    random = np.random.default_rng(3)
    found = []
    for length in LENGTHS:
        ids, mask = np.zeros((1, 64), np.int32), np.zeros((1, 64), np.int32)
        ids[0, :length], mask[0, :length] = random.integers(1000, 30_000, length), 1
        ids[0, 0], ids[0, length - 1] = 101, 102
        found.append((ids, mask))
    return found


@pytest.mark.parametrize("engine", ["tflite", "onnx"])
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_text_without_padding_gives_the_same_token(bundle, engine, precision):
    names = select_files(bundle.files, engine, precision)
    running = Engine({"text": bundle.file(names["text"])}, tensors=bundle.tensors)
    for (ids, mask), length in zip(texts(), LENGTHS, strict=True):
        padded = running.run("text", {"input_ids": ids, "attention_mask": mask})["text_token"]
        exact = running.run("text", {"input_ids": ids[:, :length], "attention_mask": mask[:, :length]})[
            "text_token"
        ]
        chosen = running.text(ids, mask)
        for found in (exact, chosen):
            if precision == "fp32":
                np.testing.assert_allclose(found, padded, atol=1e-5)
            assert cosine(found[0], padded[0]).min() >= 0.999


@pytest.mark.parametrize("name", ["encoder.tflite", "text.onnx"])
def test_lengths_that_cannot_be_are_refused_and_the_next_text_is_run(bundle, name):
    model, ids = open_model(bundle.file(name)), np.ones((1, 8), np.int32)
    for other in (np.ones((1, 4), np.int32), np.ones((1, 0), np.int32)):
        with pytest.raises(EngineError, match="input_ids and attention_mask must have one length"):
            model.run("text", {"input_ids": ids, "attention_mask": other})
    long = np.ones((1, bundle.text_max_length + 1), np.int32)
    with pytest.raises(EngineError, match=f"{name}: text: "):
        model.run("text", {"input_ids": long, "attention_mask": long})
    assert model.run("text", {"input_ids": ids, "attention_mask": ids})["text_token"].shape == (1, 1, 256)


def test_many_texts_and_screens_at_once_are_each_alone(bundle):
    encoder = ScreenEncoder(bundle, _engine(bundle))
    given = ["ok", "see you at", "see you at the station at noon, or later", "", "word " * 99]
    found = encoder.text_embeddings(iter(given))
    assert found.dtype == np.float32 and found.shape == (5, 256)
    for text, row in zip(given, found, strict=True):
        assert np.array_equal(row, encoder.text_embedding(text))
    assert encoder.text_embeddings([]).shape == (0, 256)
    random = np.random.default_rng(4)
    images = [random.integers(0, 256, (300, 200, 3), np.uint8) for _ in range(3)]
    kept = encoder.encode(images[0], "ok")
    tokens = encoder.encode_screens(iter(images[1:]))
    assert tokens.shape == (2, 5, 256) and encoder.encode_screens([]).shape == (0, 5, 256)
    assert np.array_equal(encoder.encode_text("ok"), kept)  # the kept screen stays
    assert np.array_equal(tokens[1], encoder.encode_screen(images[2]))


def test_a_keystroke_costs_what_its_text_is_long(bundle):
    """On the emulated phone: the limits are a third and a half of what 64 tokens cost."""
    if "arm64" not in bundle.manifest:
        missing("the emulator is not set up")
    target = bundle.manifest["arm64"]["target"]
    cost = {
        path["path"]: path["m_instructions"]
        for path in bundle.manifest["arm64"]["paths"]
        if path["profile"] == target
    }
    assert cost["keystroke_16"] <= 0.72 and cost["keystroke_32"] <= 1.2 and cost["keystroke"] <= 2.2
    assert cost["rank_200"] <= 100


def _engine(bundle: Bundle) -> Engine:
    names = select_files(bundle.files, "tflite", "int8")
    return Engine({part: bundle.file(name) for part, name in names.items()}, tensors=bundle.tensors)
