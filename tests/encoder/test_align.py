"""Alignment: parts that a trained encoder lacks begin with its tokens, and its fusion is gone on with."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import cosine_similarity

from calibration_data.generator.test_split import FOLDER, SPLITS
from calibration_data.samples import read_samples
from encoder import build
from encoder.config import CHECKPOINTS, PRESETS, EncoderConfig
from encoder.tokenizers import tokenizer_of
from encoder.train.batches import pad, token_ids
from encoder.train.distillation import Material, align
from encoder.train.kernels import fused
from encoder.weights import load_state
from runtime.preprocess import load_image

SEEN, UNSEEN = 88, 16
SMALL = EncoderConfig(image_size=(64, 64))
TEXT_SIZES = ("text_layers", "text_ffn_dim", "text_embedding_rank")


@pytest.fixture(scope="module")
def teacher():
    """The trained encoder at a size that takes an eighth of the time; its weights fit any."""
    encoder = build(SMALL)
    load_state(encoder, CHECKPOINTS / "balanced.safetensors")
    return encoder


@pytest.fixture(scope="module")
def material():
    samples = read_samples(FOLDER, splits=SPLITS, user_embed_dim=64)[: SEEN + UNSEEN]
    images = torch.from_numpy(np.stack([load_image(sample.image, SMALL.image_size) for sample in samples]))
    texts = [sample.text[:end] for sample in samples for end in range(4, len(sample.text) + 1, 4)]
    tokenizer = tokenizer_of(PRESETS["balanced"])
    return images, Material(np.arange(SEEN), lambda rows: images[rows], texts, tokenizer, tokenizer)


def embed(encoder, images, texts):
    ids = [token_ids(tokenizer_of(PRESETS["balanced"]), text) for text in texts]
    user = torch.zeros(len(images), 64)
    with torch.no_grad():
        return encoder(images, *pad(ids), user)


def aligned(encoder, teacher, material):
    shown = []
    found = align(encoder, teacher, material, lambda done, total: shown.append((done, total)))
    assert [done for done, _ in shown] == list(range(1, shown[0][1] + 1))
    return found


def test_forgotten_projections_are_found_again_and_a_second_layer_is_no_hindrance(teacher, material):
    images, known = material
    student = build(replace(SMALL, fusion="two_layer_transformer", fusion_layers=2), seed=5)
    for part in ("backbone", "global_view", "regions", "text"):
        getattr(student, part).load_state_dict(getattr(teacher, part).state_dict())
    torch.nn.init.normal_(student.regions.projection.weight)
    torch.nn.init.normal_(student.text.projection.weight)
    unseen, texts = images[SEEN:], known.texts[-UNSEEN:]
    right = embed(teacher, unseen, texts)
    assert cosine_similarity(embed(student, unseen, texts), right).mean() < 0.3
    found = aligned(student, teacher, known)
    assert found == {"regions": pytest.approx(1, abs=0.01), "text": pytest.approx(1, abs=0.01), "fusion": 1}
    assert cosine_similarity(embed(student, unseen, texts), right).min() > 0.97


def test_parts_of_another_option_come_near(teacher, material):
    images, known = material
    student = build(replace(SMALL, roi_method="custom_sam_lite", global_projection="avg_pool_mlp"), seed=5)
    student.backbone.load_state_dict(teacher.backbone.state_dict())
    found = aligned(student, teacher, known)
    assert set(found) == {"global_view", "regions", "text", "fusion"}
    with torch.no_grad():
        near = [
            cosine_similarity(student.encode_screen(screens), teacher.encode_screen(screens), dim=2)
            for screens in (images[:SEEN], images[SEEN:])
        ]
    assert (
        found["regions"] == pytest.approx(float(near[0][:, 1:].mean()), abs=1e-3) and found["regions"] > 0.8
    )
    assert near[1][:, 0].mean() > 0.6, "the global view of screens that it was not solved on"


def test_what_is_as_good_as_it_can_be_stays(teacher, material):
    student = copy.deepcopy(teacher)
    aligned(student, teacher, material[1])
    state = teacher.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in student.state_dict().items())


def test_another_fusion_begins_with_nothing(teacher, material):
    student = build(replace(SMALL, fusion="cross_attention_only"), seed=5)
    before = copy.deepcopy(student.fusion.state_dict())
    assert "fusion" not in aligned(student, teacher, material[1])
    assert all(torch.equal(value, before[name]) for name, value in student.fusion.state_dict().items())


@pytest.mark.parametrize("name", ["ultralight", "high_performance_pruned"])
def test_a_fused_copy_computes_the_same_tokens(name, material):
    screens_alone = {key: getattr(SMALL, key) for key in ("image_size", "text_model", *TEXT_SIZES)}
    encoder = build(replace(PRESETS[name], **screens_alone), seed=2)
    with torch.no_grad():
        expected = encoder.encode_screen(material[0][:2])
        found = fused(encoder).encode_screen(material[0][:2])
        again = encoder.encode_screen(material[0][:2])
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    assert torch.equal(again, expected), "the encoder itself stays as it was"
