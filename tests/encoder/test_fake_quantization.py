"""Fake quantization: what is quantized, in how many levels, and that gradients pass."""

import copy

import numpy as np
import torch

from encoder.config import EncoderConfig
from encoder.model import build
from encoder.train.kernels import fake_quantize, round_word_vectors
from export.quantize.packed_embeddings import pack, unpack

CONFIG = EncoderConfig(image_size=(64, 64))


def _texts():
    ids = torch.randint(5, 30000, (4, 12), generator=torch.Generator().manual_seed(0), dtype=torch.int32)
    return ids, torch.ones_like(ids)


def test_word_vectors_have_fifteen_levels_and_learn_nevertheless():
    encoder = build(CONFIG)
    words = encoder.text.bert.embeddings.word_embeddings
    exact = words.weight.detach().clone()
    fake_quantize(encoder)
    rows = words(torch.arange(1, 101))
    scale = exact[1:101].abs().amax(1, keepdim=True) / 7
    levels = (rows / scale).detach()
    assert torch.allclose(levels, levels.round(), atol=1e-4) and levels.abs().max() < 7.001
    assert (rows - exact[1:101]).abs().max() <= scale.max() / 2 + 1e-6
    rows.square().sum().backward()
    np.testing.assert_allclose(words.weight.grad[1:101], 2 * rows.detach(), rtol=1e-5)


def test_rounded_word_vectors_ship_in_four_bits_without_a_loss():
    encoder = build(CONFIG)
    words = encoder.text.bert.embeddings.word_embeddings
    exact = words.weight.detach().clone()
    round_word_vectors(encoder)
    rounded = words.weight.detach().half().float().numpy()
    assert 0.02 < np.abs(rounded - exact.numpy()).max() / np.abs(exact.numpy()).max() < 0.08
    shipped = unpack(*pack(rounded))
    assert np.abs(shipped - rounded).max() < 1e-3 * np.abs(rounded).max()
    again = words.weight.detach().clone()
    round_word_vectors(encoder)
    assert torch.allclose(words.weight, again, atol=1e-7)


def test_the_first_half_of_a_batch_sets_the_range_of_all():
    encoder = build(CONFIG)
    fake_quantize(encoder, bits=6)
    layer, seen = encoder.user, []
    first = next(module for module in layer.modules() if isinstance(module, torch.nn.Linear))
    first.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].detach()))
    users = torch.linspace(-1, 1, 64).repeat(4, 1) * torch.tensor([[0.5], [1.0], [2.0], [0.25]])
    encoder.user(users)
    step = 2 / 63
    assert seen[0].unique().numel() <= 64 and seen[0].abs().max() <= 1 + step
    assert (seen[0][:2] - users[:2]).abs().max() <= step / 2 + 1e-6


def test_linear_layers_pass_at_most_256_values_and_stay_close():
    encoder = build(CONFIG)
    quantized = copy.deepcopy(encoder)
    fake_quantize(quantized)
    seen = {}
    quantized.text.bert.encoder.layer[0].intermediate.dense.register_forward_hook(
        lambda _, inputs, found: seen.update({"in": inputs[0], "out": found})
    )
    exact, noisy = encoder.encode_text(*_texts()), quantized.encode_text(*_texts())
    for values in seen.values():
        assert 50 < values.unique().numel() <= 256
    cosine = torch.cosine_similarity(exact[:, 0], noisy[:, 0])
    assert cosine.min() > 0.98 and not torch.equal(exact, noisy)
    noisy.sum().backward()
    assert all(p.grad is not None for p in quantized.text.bert.encoder.layer[1].parameters())


def test_a_constant_tensor_survives():
    encoder = build(CONFIG)
    fake_quantize(encoder)
    assert torch.isfinite(encoder.user(torch.zeros(1, 64))).all()
