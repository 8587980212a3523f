"""The text stage: its teacher against plain transformers, its data, and that the tower learns from both."""

import random

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from transformers import BertConfig, BertModel, BertTokenizerFast

from encoder import build
from encoder.config import VOCABULARY
from encoder.train.batches import token_ids
from encoder.train.options import StageOptions
from encoder.train.text_stage import TextBatches, TextStage, embed_texts, prefix, spearman
from encoder.train.text_teacher import TeacherError, TextTeacher, fit_reduction, reduce
from runtime.tokenizer import WordPieceTokenizer

SUBJECTS = (
    "the train",
    "a parcel",
    "my sister",
    "our teacher",
    "the printer",
    "dinner",
    "your invoice",
    "he",
)
VERBS = (
    "is late",
    "arrives today",
    "looks broken",
    "was cancelled",
    "is ready",
    "costs more",
    "starts at noon",
)
ENDINGS = ["", " again", " as I said", " in Berlin", ", sorry", " for good"]
TEXTS = [f"{subject} {verb}{ending}" for subject in SUBJECTS for verb in VERBS for ending in ENDINGS]
UNSEEN = [f"{subject} {verb} tomorrow" for subject in SUBJECTS for verb in VERBS]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A teacher with random word vectors and nothing above them, as its own library saves it."""
    folder = tmp_path_factory.mktemp("teacher")
    torch.manual_seed(0)
    config = BertConfig(hidden_size=256, num_hidden_layers=0, num_attention_heads=2, initializer_range=0.2)
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    BertTokenizerFast(str(VOCABULARY)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def stage(model, tmp_path_factory):
    cache = tmp_path_factory.mktemp("embeddings")
    return TextStage(StageOptions(batch=48), seed=0, teacher=str(model), texts=(TEXTS, UNSEEN), cache=cache)


def test_teacher_is_the_mean_of_the_last_states(model, tmp_path):
    teacher = TextTeacher(str(model), tmp_path, fast=False)
    found = teacher.embed(["See you soon", "A much longer text about nothing in particular", "See you soon"])
    assert found.dtype == np.float16 and found.shape == (3, 256)
    reference = BertModel.from_pretrained(model, add_pooling_layer=False).eval()
    for text, row in zip(
        ["See you soon", "A much longer text about nothing in particular"], found, strict=False
    ):
        inputs = BertTokenizerFast.from_pretrained(model)(text, return_tensors="pt")
        with torch.no_grad():
            mean = reference(**inputs).last_hidden_state[0].mean(0).numpy()
        np.testing.assert_allclose(row, mean / np.linalg.norm(mean), atol=1e-3)
    np.testing.assert_array_equal(found[0], found[2])


def test_teacher_computes_a_text_once(model, tmp_path):
    first = TextTeacher(str(model), tmp_path).embed(TEXTS)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npz")}
    again = TextTeacher(str(model), tmp_path)
    np.testing.assert_array_equal(again.embed(TEXTS[::-1]), first[::-1])
    assert files == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npz")}
    again.embed(["one more"])
    assert len(list(tmp_path.rglob("*.npz"))) == len(files) + 1


def test_a_teacher_that_cannot_be_loaded_is_named_in_one_line(model, tmp_path):
    with pytest.raises(TeacherError, match="no-such-teacher") as error:
        TextTeacher(str(tmp_path / "no-such-teacher"), tmp_path)
    assert "\n" not in str(error.value) and "minilm-l6" in str(error.value)


def test_a_teacher_narrower_than_the_token_is_refused(model, tmp_path):
    with pytest.raises(TeacherError, match=r"256 wide.*at least 300"):
        TextStage(StageOptions(), seed=0, teacher=str(model), texts=(TEXTS, UNSEEN), dim=300, cache=tmp_path)


def test_pickled_weights_are_refused(model, tmp_path):
    folder = tmp_path / "pickled"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        (folder / name).write_bytes((model / name).read_bytes())
    torch.save(BertModel.from_pretrained(model).state_dict(), folder / "pytorch_model.bin")
    with pytest.raises(TeacherError, match="safetensors"):
        TextTeacher(str(folder), tmp_path)


def test_reduction_is_orthogonal_and_keeps_what_it_can():
    random = np.random.default_rng(0)
    data = random.standard_normal((200, 8)) @ random.standard_normal((8, 40))
    data /= np.linalg.norm(data, axis=1, keepdims=True)
    reduction = fit_reduction(data, 8)
    np.testing.assert_allclose(reduction.T @ reduction, np.eye(8), atol=1e-5)
    reduced = reduce(data, reduction)
    np.testing.assert_allclose(reduced @ reduced.T, data @ data.T, atol=1e-4)


def test_spearman_equals_scipys_with_ties():
    random = np.random.default_rng(1)
    a, b = random.standard_normal((2, 30, 5))
    a[:10] = a[10:20]
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    above = np.triu_indices(30, 1)
    pairs = [(x.astype(np.float32) @ x.astype(np.float32).T)[above] for x in (a, b)]
    assert spearman(a, b) == pytest.approx(spearmanr(*pairs).statistic, abs=1e-6)
    assert spearman(a, a) == pytest.approx(1)


def make_batches(seed: int, share: float = 0.4) -> TextBatches:
    targets = np.eye(len(TEXTS), dtype=np.float32)
    tokenizer = WordPieceTokenizer(VOCABULARY, 64)
    return TextBatches(TEXTS, targets, tokenizer, batch_size=48, seed=seed, prefix_share=share)


def test_batches_follow_from_seed_and_step():
    forward, backward = make_batches(3), make_batches(3)
    steps = 2 * len(forward)
    early = [forward.batch(step) for step in range(steps)]
    late = [backward.batch(step) for step in reversed(range(steps))][::-1]
    for one, other in zip(early, late, strict=True):
        assert torch.equal(one.input_ids, other.input_ids) and torch.equal(one.target, other.target)
    assert not torch.equal(early[0].target, make_batches(4).batch(0).target)


def test_an_epoch_shows_every_text_once_and_some_of_them_half_typed():
    batches = make_batches(0)
    shown = [batches.batch(step) for step in range(len(batches))]
    rows = torch.cat([batch.target for batch in shown]).argmax(1).tolist()
    assert sorted(rows) == list(range(len(TEXTS)))
    half_typed = torch.cat([batch.weight for batch in shown]) < 1
    assert 0.3 < half_typed.float().mean() < 0.5
    tokenizer = WordPieceTokenizer(VOCABULARY, 64)
    ids = [batch.input_ids[i][batch.attention_mask[i] == 1] for batch in shown for i in range(48)]
    for row, half, found in zip(rows, half_typed, ids, strict=True):
        if not half:
            assert found.tolist() == token_ids(tokenizer, TEXTS[row]).tolist()


def test_each_tower_starts_from_what_its_teacher_knows(stage):
    """MiniLM as the teacher itself; an LSTM with its view of words; others as they are."""
    lstm = build({"text_model": "custom_lstm"}, seed=0)
    pieces = VOCABULARY.read_text(encoding="utf-8").splitlines()
    seen = sorted({piece for ids in stage.batches.ids for piece in ids[1:-1].tolist()})

    def likeness():
        own = lstm.text.words.weight.detach()[seen].numpy()
        own = own / np.linalg.norm(own, axis=1, keepdims=True)
        return spearman(own, stage.teacher.embed([pieces[i] for i in seen]))

    at_random = likeness()
    stage.initialize(lstm)
    assert likeness() > 0.3 > at_random
    other = build({"text_model": "roberta_tiny"}, seed=0)
    before = {name: value.clone() for name, value in other.text.state_dict().items()}
    stage.initialize(other)
    assert all(torch.equal(before[name], value) for name, value in other.text.state_dict().items())


def test_a_prefix_begins_the_text_and_is_shorter():
    chance = random.Random(0)
    found = {prefix("See you", chance) for _ in range(200)}
    assert found == {"See you"[:length] for length in range(2, 7)}


def test_tower_starts_as_a_bag_of_words_and_learns_from_the_teacher(stage):
    encoder = build({}, seed=0)
    at_random = stage.validate(encoder, 0.0)["spearman"]
    stage.initialize(encoder)
    tokens = embed_texts(encoder, stage.tokenizer, ["the train is late", "late is train the", "a parcel"])
    assert tokens[0] @ tokens[1] > 0.95 > tokens[0] @ tokens[2]
    at_first = stage.validate(encoder, 0.0)["spearman"]
    optimizer = torch.optim.Adam(encoder.text.parameters(), 1e-3)
    for step in range(20):
        loss = sum(stage.loss(encoder, stage.prepare(step), step, 0.0).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    at_last = stage.validate(encoder, 0.0)
    assert at_random < at_first < at_last["spearman"]
    assert at_last["prefix_r1"] > 0.3
