"""What a step trains on: which candidates count, where texts are cut, and that screens and boxes move together."""

import json
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image

from calibration_data.generator.styles import STYLES
from calibration_data.samples import read_samples
from encoder.config import VOCABULARY
from encoder.train import TrainError
from encoder.train.batches import Collator
from encoder.train.objective import class_loss, contrast
from encoder.train.options import ContextOptions
from encoder.train.sampling import Sampler, paraphrase_styles
from encoder.train.screens import Screens, augment, resized_images
from runtime.preprocess import load_image
from runtime.tokenizer import WordPieceTokenizer

KINDS = ["chat", "shop"]
OPTIONS = ContextOptions(batch=12, variants=4, paraphrases=2)


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """Twelve typed texts with paraphrases, and twelve actions of three groups, in two kinds of app."""
    folder = tmp_path_factory.mktemp("screens")
    lines = []
    for number in range(24):
        style, typed = STYLES[number % 6], number < 12
        text = f"message number {number} is" if typed else ""
        image = np.random.default_rng(number).integers(0, 256, (40, 20, 3), dtype=np.uint8)
        Image.fromarray(image).save(folder / f"{number}.png")
        ends = [f"{text} now as {other} says" for other in STYLES if other != style]
        lines.append({
            "id": str(number), "split": "train", "image": f"{number}.png", "text": text, "language": "en",
            "user": [float(number), float(number % 6)], "user_style": style, "kind": ("chat", "shop")[number % 2],
            "view": f"view{number % 4}", "keyboard": None, "dark": False, "width": 20, "height": 40,
            "boxes": {"title": [0, 4, 20, 8], "status": None}, "siblings": ends if typed else [],
            "target": f"{text} now as {style} says" if typed else f"open it ({style})",
            "target_group": f"t{number}" if typed else f"action{number % 3}", "caption": f"caption {number}",
            "kind_caption": f"kind {number % 2}",
        })  # fmt: skip
    (folder / "samples.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return read_samples(folder, splits=("train",), user_embed_dim=2)


@pytest.fixture(scope="module")
def draws(samples):
    drawer = Sampler(samples, OPTIONS, seed=3, user_embed_dim=2, kinds=KINDS)
    return [drawer.draw(step) for step in range(40)]


def test_the_same_seed_and_step_give_the_same_draw(samples, draws):
    again = Sampler(samples, OPTIONS, seed=3, user_embed_dim=2, kinds=KINDS).draw(7)
    assert (again.rows == draws[7].rows).all() and again.candidates == draws[7].candidates
    assert [context.text for context in again.contexts] == [context.text for context in draws[7].contexts]
    assert (again.rows != draws[8].rows).any()


def test_each_step_has_two_sentences_about_each_screen_class(samples, draws):
    for draw in draws:
        assert len(draw.kinds) == 4
        assert all("kind 0".startswith(text) or text == "0" for text in draw.kinds[:2])
        assert all("kind 1".startswith(text) or text == "1" for text in draw.kinds[2:])
    assert {text for draw in draws for text in draw.kinds} >= {"kind 0", "kind 1"}
    untold = [type(sample)(**(vars(sample) | {"kind_caption": ""})) for sample in samples]
    assert Sampler(untold, OPTIONS, seed=3, user_embed_dim=2, kinds=KINDS).draw(0).kinds == []


def test_a_screen_class_is_right_where_any_of_its_sentences_is_near():
    right = torch.tensor([0, 1])
    near = class_loss(torch.tensor([[9.0, -9.0, 0.0, 0.0], [0.0, 0.0, -9.0, 9.0]]), right, 2)
    far = class_loss(torch.tensor([[9.0, 9.0, 0.0, 0.0], [9.0, -9.0, 0.0, 0.0]]), right, 2)
    assert near < 0.001 and far > 4


def test_every_screen_brings_a_hard_negative_from_another_screen_of_its_class(samples, draws):
    kinds = {sample.target: sample.kind for sample in samples if sample.text}
    found = Counter()
    for draw in draws:
        assert len(set(draw.rows)) == len(draw.rows) == 12
        own = {samples[row].target for row in draw.rows}
        negatives = [
            kinds[candidate.text] for candidate in draw.candidates if candidate.text in kinds.keys() - own
        ]
        found.update(negatives)
        assert {samples[row].kind for row in draw.rows} >= set(negatives)
    assert found["chat"] > 20 and found["shop"] > 20


def test_typed_contexts_begin_their_target_and_end_before_the_style_shows(samples, draws):
    lengths = set()
    for draw in draws:
        for context in draw.contexts:
            sample, target = samples[draw.rows[context.screen]], draw.candidates[context.label].text
            if sample.text:
                assert target.startswith(context.text) and len(context.text) >= 0.6 * len(sample.text) - 1
                assert len(context.text) <= len(f"{sample.text} now as ")
                lengths.add(len(context.text) - len(sample.text))
            else:
                assert context.text == ""
    assert len(lengths) > 5  # cut anew, shorter and longer than the sample's own text


def test_the_right_candidate_is_worded_as_the_user_writes(samples, draws):
    styles = set()
    for draw in draws:
        for context in draw.contexts:
            target = draw.candidates[context.label].text
            named = [style for style in STYLES if style in target]
            if named:  # the second number of a user vector is its style
                assert STYLES[round(float(context.user[1]))] == named[0]
                styles.add((samples[draw.rows[context.screen]].user_style, named[0]))
    assert len({own for own, said in styles if own != said}) == 6  # paraphrases are right for their users


def test_paraphrases_without_a_known_order_are_only_negatives(samples):
    changed = [type(sample)(**(vars(sample) | {"siblings": sample.siblings[:3]})) for sample in samples]
    assert paraphrase_styles(changed[0]) == [] and len(paraphrase_styles(samples[0])) == 5
    draw = Sampler(changed, OPTIONS, seed=0, user_embed_dim=2, kinds=KINDS).draw(0)
    typed = [context for context in draw.contexts if context.text]
    assert {draw.candidates[context.label].cluster for context in typed} == {
        context.label for context in typed
    }


def test_which_candidates_do_not_count(samples, draws, tmp_path):
    screens = Screens({"train": samples, "validation": []}, (16, 8), tmp_path)
    collator = Collator(screens, WordPieceTokenizer(VOCABULARY, 64))
    for draw in draws[:10]:
        batch = collator.collate(draw)
        assert batch.image.shape == (12, 16, 8, 3) and batch.ignored.shape == (48, len(draw.candidates))
        for place, context in enumerate(draw.contexts):
            right = draw.candidates[context.label]
            assert not batch.ignored[place, context.label]
            for other, candidate in enumerate(draw.candidates):
                if other == context.label:
                    continue
                equally_right = candidate.group == right.group and candidate.cluster != right.cluster
                same_text = candidate.text.lower().split() == right.text.lower().split()
                assert bool(batch.ignored[place, other]) == (equally_right or same_text)
        shown = [samples[row] for row in draw.rows]
        general = draw.general.tolist()
        expected = [
            [
                i != j and (one.view == other.view or (general[j] and one.kind == other.kind))
                for j, other in enumerate(shown)
            ]
            for i, one in enumerate(shown)
        ]
        assert batch.also_fits.tolist() == expected
        for text, sample, of_kind in zip(draw.captions, shown, general, strict=True):
            whole = sample.kind_caption if of_kind else "caption"
            assert set(text.split()) <= set(whole.split()) or (not of_kind and text.split()[-1].isdigit())
        assert 0 < sum(map(sum, (one.general.tolist() for one in draws))) < 12 * len(draws) / 2
        title, _, _, status = batch.boxes[0].tolist()
        assert title == pytest.approx([1, 0, 0.1, 1, 0.2]) and status == [0] * 5


def test_texts_come_back_in_their_own_order(samples, tmp_path):
    screens = Screens({"train": samples[:1], "validation": []}, (16, 8), tmp_path)
    collator = Collator(screens, WordPieceTokenizer(VOCABULARY, 64))
    texts = ["a b c d", "", "a", "a b c d e f g", "a b"] * 100

    class Counter:
        training = False

        def encode_text(self, input_ids, attention_mask):
            return attention_mask.sum(dim=1).float()[:, None, None]

    found = collator.texts(texts)
    assert found.encode(Counter())[:, 0].tolist() == [len(text.split()) + 2 for text in texts]
    assert len(found.chunks) == 2 and found.chunks[0][0].shape[1] < found.chunks[1][0].shape[1]


def test_contrast_is_the_mean_of_both_directions():
    random = np.random.default_rng(0)
    logits = random.standard_normal((4, 3))
    label, ignored = np.array([0, 1, 1, 2]), np.zeros((4, 3), bool)
    ignored[0, 2] = ignored[3, 0] = True
    there, back = [], []
    for row in range(4):
        others = [c for c in range(3) if not ignored[row, c]]
        there.append(np.log(np.exp(logits[row, others]).sum()) - logits[row, label[row]])
        column = label[row]
        others = [r for r in range(4) if r == row or (label[r] != column and not ignored[r, column])]
        back.append(np.log(np.exp(logits[others, column]).sum()) - logits[row, column])
    found = contrast(torch.tensor(logits), torch.tensor(label), torch.tensor(ignored))
    assert found.item() == pytest.approx((np.mean(there) + np.mean(back)) / 2)


def test_boxes_move_with_the_pixels():
    image = torch.zeros(64, 128, 64, 3, dtype=torch.uint8)
    image[:, 40:72, 16:40] = 255
    boxes = torch.zeros(64, 4, 5)
    boxes[:, 0] = torch.tensor([1.0, 16 / 64, 40 / 128, 24 / 64, 32 / 128])
    moved, found, inverted = augment(image, boxes, torch.Generator().manual_seed(5))
    assert moved.shape == image.shape and moved.dtype == torch.float32
    assert moved.min() >= 0 and moved.max() <= 255 and 0 < inverted.sum() < 20
    checked = 0
    for picture, box, turned in zip(moved.mean(dim=3), found[:, 0], inverted, strict=True):
        inside = picture < 128 if turned else picture > 128
        if inside[:4].any() or inside[-4:].any():
            continue  # another colour covers part of it
        rows, columns = inside.any(dim=1).nonzero()[:, 0], inside.any(dim=0).nonzero()[:, 0]
        if not len(rows) or inside.sum() < 0.97 * (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1):
            continue
        seen = [
            1,
            columns[0] / 64,
            rows[0] / 128,
            (columns[-1] - columns[0] + 1) / 64,
            (rows[-1] - rows[0] + 1) / 128,
        ]
        assert box.tolist() == pytest.approx([float(value) for value in seen], abs=1.6 / 64)
        checked += 1
    assert checked > 25
    assert found[:, 1:].abs().sum() == 0


def test_the_same_generator_gives_the_same_screens():
    image = torch.randint(0, 256, (8, 32, 16, 3), dtype=torch.uint8)
    one, other = (augment(image, torch.zeros(8, 4, 5), torch.Generator().manual_seed(2))[0] for _ in range(2))
    assert torch.equal(one, other)


def test_the_cache_resizes_once_and_survives_an_interruption(samples, tmp_path):
    images = [sample.image for sample in samples[:6]]
    seen = []
    resized_images(
        images[:4], (16, 8), folder=tmp_path, on_progress=lambda done, total: seen.append((done, total))
    )
    pixels, rows = resized_images(
        images, (16, 8), folder=tmp_path, on_progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(4, 4), (2, 2)]
    for image, row in zip(images, rows, strict=True):
        assert (pixels[row] == load_image(image, (16, 8))).all()
    (stored,) = tmp_path.glob("*.u8")
    with open(stored, "ab") as file:  # a run was killed in the middle of an image
        file.write(b"half an image")
    again, rows = resized_images(images[::-1], (16, 8), folder=tmp_path)
    assert (again[rows[0]] == load_image(images[-1], (16, 8))).all() and len(again) == 6
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(TrainError, match=r"broken.png: not an image"):
        resized_images([*images, tmp_path / "broken.png"], (16, 8), folder=tmp_path)
