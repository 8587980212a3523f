"""Each preset goes through the same commands: exported, in parity, within its numbers, and run by the runtime."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from transformers import BertModel

from calibration_data.samples import read_samples
from encoder import PRESETS, EncoderConfig
from encoder.packages import fetch_packaged
from encoder.weights import load_encoder
from export.calibration import DEFAULT_FOLDER
from runtime import ScreenEncoder
from runtime.bundle import ENGINES, REGION_NAMES, Bundle
from runtime.session import RegionsError
from tests.conftest import ROOT

LIMITS = {"ultralight": (12.0, 4_000_000), "balanced_sam": (38.1, 5_600_000)}
"""Million A76 instructions of a whole encode, and bytes of encoder.tflite."""
OTHERS = [pytest.param(name, marks=pytest.mark.exhaustive) for name in PRESETS if name != "balanced"]


def run(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.fixture(scope="module", params=OTHERS)
def bundle(request, bundle_dir) -> Bundle:
    """Exported as a user would, where the default bundle has set the emulator up."""
    result = run("export", request.param)
    assert result.returncode == 0, result.stdout + result.stderr
    return Bundle.load(bundle_dir.parent / request.param, verify=True)


def test_every_engine_and_precision_passes_parity(bundle):
    rows = bundle.manifest["parity"]
    assert {(row["engine"], row["precision"]) for row in rows} == {
        (engine, precision) for engine in ENGINES for precision in ("fp32", "int8")
    }
    assert all(row["passed"] for row in rows)


def test_the_budgets_say_who_is_too_large(bundle):
    budgets = {budget["name"]: budget for budget in bundle.manifest["budgets"]}
    preset = bundle.manifest["preset"]
    assert budgets["parameters"]["pass"] is (preset != "high_performance")
    assert budgets["encoder.tflite on disk"]["pass"] is not preset.startswith("high_performance")
    if preset == "high_performance":
        assert run("evaluation", "check", bundle.path).returncode == 1


@pytest.mark.exhaustive
@pytest.mark.parametrize("bundle", LIMITS, indirect=True)
def test_small_presets_keep_to_their_numbers(bundle):
    m_instructions, most_bytes = LIMITS[bundle.manifest["preset"]]
    assert bundle.files["encoder.tflite"]["bytes"] <= most_bytes
    if "arm64" in bundle.manifest:
        costs = {
            cost["signature"]: cost["m_instructions"]["a76"]
            for cost in bundle.manifest["arm64"]["costs"]
            if (cost["engine"], cost["precision"]) == ("tflite", "int8")
        }
        assert sum(costs[part] for part in ("vision", "text", "fuse")) <= m_instructions


@pytest.mark.parametrize("engine", ENGINES)
def test_the_runtime_computes_what_pytorch_did(bundle, engine):
    with np.load(bundle.file("golden.npz")) as golden:
        image, user, expected = golden["image"][3], golden["user"][3], golden["embedding"][3]
    samples = read_samples(DEFAULT_FOLDER, splits=("calibration", "parity"), user_embed_dim=64)
    text = [sample for sample in samples if sample.split == "parity"][3].text
    encoder = ScreenEncoder.load(bundle.path, engine, "fp32")
    np.testing.assert_allclose(encoder.encode(image, text, user), expected, atol=1e-4)


@pytest.mark.parametrize(("precision", "limit"), [("fp32", 1e-5), ("int8", 0.02)])
@pytest.mark.parametrize("engine", ENGINES)
def test_the_runtime_finds_the_regions(bundle, engine, precision, limit):
    with np.load(bundle.file("golden.npz")) as golden:
        image, masks = golden["image"][5], golden["region_masks"][5] if "region_masks" in golden else None
    encoder = ScreenEncoder.load(bundle.path, engine, precision)
    if masks is None:
        with pytest.raises(RegionsError, match="its regions are fixed \\(roi_method fixed_grid\\)"):
            encoder.regions(image)
        return
    found = encoder.regions(image)
    assert tuple(found) == REGION_NAMES
    # A trained mask's edge lies within a cell or two: INT8 may move it, so not each cell is held to a limit.
    assert np.abs(np.stack(list(found.values())) - masks).mean() < limit
    kept = encoder.encode_text("see")
    np.testing.assert_array_equal(kept, encoder.encode(image, "see"))


@pytest.mark.exhaustive
@torch.no_grad()
@pytest.mark.parametrize("bundle", ["high_performance"], indirect=True)
@pytest.mark.parametrize("engine", ENGINES)
def test_minilm_embeds_sentences_as_transformers_does(bundle, engine):
    """Through the exported projection, the one layer behind the sentence embedding."""
    (weights,) = fetch_packaged(PRESETS["high_performance"]).values()
    reference = BertModel.from_pretrained(weights.parent, add_pooling_layer=False).eval()
    encoder, _ = load_encoder(EncoderConfig.from_dict(bundle.manifest["config"]))
    if not torch.equal(
        encoder.text.bert.embeddings.word_embeddings.weight,
        reference.embeddings.word_embeddings.weight,
    ):
        reference.load_state_dict(encoder.text.bert.state_dict())  # a trained checkpoint
    session, tokenizer = ScreenEncoder.load(bundle.path, engine, "fp32"), bundle.open_tokenizer()
    for text in ("see you at the station", "", "where is the quarterly report?"):
        ids, mask = (torch.from_numpy(array)[None] for array in tokenizer.encode(text))
        states = reference(input_ids=ids, attention_mask=mask).last_hidden_state
        mean = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        token = encoder.text.projection(torch.nn.functional.normalize(mean, dim=1))
        expected = torch.nn.functional.normalize(token, dim=1)[0].numpy()
        np.testing.assert_allclose(session.text_embedding(text), expected, atol=1e-5)


@pytest.mark.exhaustive
def test_robertas_tokenizer_travels_with_its_bundle(tmp_path):
    config, out = tmp_path / "config.json", tmp_path / "bundle"
    config.write_text(json.dumps({"text_model": "roberta_tiny"}))
    result = run("export", "roberta", "--config", config, "--out", out)
    assert result.returncode == 0, result.stdout + result.stderr
    bundle = Bundle.load(out, verify=True)
    entry = dict(bundle.manifest["tokenizer"])
    assert set(entry.pop("unknown_shares").values()) == {0.0}  # it can write every text
    assert entry == {
        "type": "byte_bpe", "vocab": "vocab.json", "merges": "merges.txt", "max_length": 64, "truncation": "left"
    }  # fmt: skip
    assert "vocab.txt" not in bundle.files
    assert all(row["passed"] for row in bundle.manifest["parity"])
    encoder = ScreenEncoder.load(out)
    assert not np.array_equal(encoder.text_embedding("see you at"), encoder.text_embedding("See you at"))


def test_bad_combinations_are_refused_before_any_work(tmp_path):
    config = tmp_path / "config.json"
    for values, message in (
        ({"fusion": "cross_attention_only", "fusion_layers": 2}, "'cross_attention_only' has 1 layer, but"),
        ({"backbone": "timm/nothing"}, "unknown backbone 'timm/nothing'; valid options: mobilevit_xxs, "),
        ({"text_model": "roberta_tiny", "text_max_length": 100}, "roberta_tiny has positions for 64 tokens"),
    ):
        config.write_text(json.dumps(values))
        result = run("export", "odd", "--config", config, "--out", tmp_path / "bundle")
        assert result.returncode == 2 and message in result.stderr
        assert result.stderr.count("\n") == 1 and not (tmp_path / "bundle").exists()
