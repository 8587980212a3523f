"""The encoder as an app uses it."""

import numpy as np
import pytest
from PIL import Image

from runtime import ScreenEncoder
from runtime.bundle import ENGINES, Bundle, BundleError
from runtime.parity import load_golden
from runtime.preprocess import ImageError
from runtime.session import NoScreenError
from runtime.truncation import TokenizerError
from runtime.user import UserVectorError
from tests.runtime.make_tiny_bundle import TEXTS


@pytest.fixture(params=ENGINES)
def encoder(request, tiny) -> ScreenEncoder:
    return ScreenEncoder.load(tiny, engine=request.param, precision="fp32")


def test_embeddings_are_pytorchs(encoder, tiny):
    golden = load_golden(tiny / "golden.npz", Bundle.load(tiny).tensors)
    for sample, text in enumerate(TEXTS):
        embedding = encoder.encode(golden["image"][sample], text, golden["user"][sample])
        assert embedding.dtype == np.float32 and embedding.shape == (256,)
        np.testing.assert_allclose(embedding, golden["embedding"][sample], atol=1e-5)
        assert np.linalg.norm(embedding) == pytest.approx(1, abs=1e-5)


def test_a_screen_once_and_then_texts(encoder, screen):
    tokens = encoder.encode_screen(screen)
    assert tokens.dtype == np.float32 and tokens.shape == (5, 256)
    user = np.linspace(-1, 1, 64)
    typed = [encoder.encode_text(text, user) for text in ("see", "see you", "see you at")]
    whole = [encoder.encode(screen, text, user) for text in ("see", "see you", "see you at")]
    assert np.array_equal(typed, whole)
    assert not np.array_equal(typed[0], typed[1])


def test_the_kept_screen_is_not_the_callers_to_change(encoder, screen):
    tokens = encoder.encode_screen(screen)
    before = encoder.encode_text("see")
    tokens[:] = 0
    assert np.array_equal(encoder.encode_text("see"), before)


def test_a_path_an_image_and_an_array_are_the_same(encoder, screen):
    image = Image.open(screen)
    embeddings = [encoder.encode(kind, "hello") for kind in (screen, str(screen), image, np.asarray(image))]
    assert all(np.array_equal(embedding, embeddings[0]) for embedding in embeddings)


def test_no_user_is_a_vector_of_zeros(encoder, screen):
    encoder.encode_screen(screen)
    assert np.array_equal(encoder.encode_text("see"), encoder.encode_text("see", [0] * 64))
    assert not np.array_equal(encoder.encode_text("see"), encoder.encode_text("see", [1] * 64))


def test_a_text_before_any_screen(encoder):
    with pytest.raises(NoScreenError, match="call encode_screen"):
        encoder.encode_text("see")


def test_a_screen_that_fails_is_not_replaced_by_the_one_before(encoder, screen, tmp_path):
    encoder.encode_screen(screen)
    with pytest.raises(ImageError):
        encoder.encode_screen(tmp_path / "none.png")
    with pytest.raises(NoScreenError):
        encoder.encode_text("see")


def test_text_embeddings_are_unit_text_tokens(encoder, tiny):
    golden = load_golden(tiny / "golden.npz", Bundle.load(tiny).tensors)
    for sample, text in enumerate(TEXTS):
        token = golden["text_token"][sample, 0]
        embedding = encoder.text_embedding(text)
        assert embedding.dtype == np.float32 and embedding.shape == (256,)
        np.testing.assert_allclose(embedding, token / np.linalg.norm(token), atol=1e-5)


@pytest.mark.parametrize(
    ("user", "message"),
    [
        ([0.0] * 63, "must be 64 numbers, not 63 numbers"),
        ([], "must be 64 numbers, not 0 numbers"),
        (np.zeros((1, 64)), r"not an array of shape \[1, 64\]"),
        ([0.0] * 9 + [float("nan")] + [0.0] * 54, "holds nan at position 9"),
        (np.full(64, np.inf), "holds inf at position 0"),
        (np.full(64, 1e300), "at position 0: every number must be finite"),
        (["a"] * 64, "64 numbers in a flat list"),
        ([[1], [1, 2]], "64 numbers in a flat list"),
        ({"a": 1}, "64 numbers in a flat list"),
    ],
)
def test_other_user_vectors_are_refused(encoder, screen, user, message):
    encoder.encode_screen(screen)
    with pytest.raises(UserVectorError, match=message):
        encoder.encode_text("see", user)
    with pytest.raises(UserVectorError, match=message):
        encoder.encode(screen, "see", user)


def test_other_texts_are_refused(encoder, screen):
    with pytest.raises(TokenizerError, match="must be a string"):
        encoder.encode(screen, None)


def test_an_altered_model_is_not_loaded(copied):
    (copied / "encoder.tflite").write_bytes(b"")
    with pytest.raises(BundleError, match="altered"):
        ScreenEncoder.load(copied)
    ScreenEncoder.load(copied, engine="onnx")  # only what is used is checked
