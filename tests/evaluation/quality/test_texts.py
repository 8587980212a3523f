"""Texts in batches: PyTorch's text tower computes the same for each as alone and at full length."""

import numpy as np
import pytest
import torch

from encoder.config import EncoderConfig
from encoder.model import build
from encoder.modules.text import TEXT_MODELS
from encoder.tokenizers import tokenizer_of
from evaluation.quality.texts import BATCH, run_in_batches


@pytest.mark.parametrize("text_model", TEXT_MODELS)
def test_batches_cut_to_their_length_change_nothing(text_model):
    config = EncoderConfig.from_dict({"text_model": text_model})
    encoder, tokenizer = build(config, initialize=False), tokenizer_of(config)
    lines = [
        "",
        *("see you at the station " * (count % 15) + "x" * (count % 4) for count in range(3 * BATCH)),
    ]
    encoded = [tokenizer.encode(line) for line in lines]
    texts = [{"input_ids": ids[None], "attention_mask": mask[None]} for ids, mask in encoded]
    lengths, runs = set(), []

    def tower(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        lengths.add(ids.shape[1])
        return encoder.encode_text(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()

    with torch.inference_mode():
        found = run_in_batches(tower, texts, runs.append)
        alone = [tower(text["input_ids"], text["attention_mask"]) for text in texts]
    np.testing.assert_allclose(np.concatenate(found), np.concatenate(alone), atol=2e-6)
    assert found[0].shape == (1, 1, 256) and sum(runs) == len(texts)
    assert min(lengths) < 64 == max(lengths)
