"""What belongs to which split of the training set: templates, paraphrases, and the texts of its sources."""

import hashlib

TRAINING_SPLITS = ("train", "validation", "test", "unseen_kit")
UNSEEN_SPLITS = ("test", "unseen_kit")
# Structural layouts of every view; how many belong to training and to validation, the rest being unseen.
TEMPLATES, TRAIN_TEMPLATES, VALIDATION_TEMPLATES = 40, 28, 4
# Of the texts and numbers that are not split by their source, every so many-th belongs to the other split.
VALIDATION_EVERY, TEST_EVERY = 20, 4


def stable_number(text: str) -> int:
    """A number below 2**32 that depends on `text` alone, on every machine."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def side(split: str) -> str:
    """Which half of names and numbers `split` uses: "train" or "test"."""
    return "test" if split in UNSEEN_SPLITS else "train"


def paraphrases_for(split: str) -> str:
    """Whose words `split` speaks: "train", "validation" or "test"; no two share a paraphrase."""
    return "validation" if split == "validation" else side(split)


def is_for_test(text: str) -> bool:
    """Whether a generated text (a number, a row of smileys) belongs to the unseen splits."""
    return stable_number(text) % TEST_EVERY == 0


def may_be_typed(typed: str, split: str) -> bool:
    """Whether half-typed `typed` may stand on a screen of `split`: one half of all for each side."""
    return (stable_number(typed.casefold()) % 2 == 0) == (split in UNSEEN_SPLITS)


def is_for_validation(text: str) -> bool:
    """Whether a text of the training sources is kept for validation."""
    return stable_number(text) % VALIDATION_EVERY == 0


def templates(view: str, split: str) -> list[str]:
    """The layouts of `view` ("shop/cart") that `split` may use, as in "shop/cart/t17"."""
    names = sorted((f"{view}/t{number}" for number in range(TEMPLATES)), key=stable_number)
    if split in UNSEEN_SPLITS:
        return names[TRAIN_TEMPLATES + VALIDATION_TEMPLATES :]
    if split == "validation":
        return names[TRAIN_TEMPLATES : TRAIN_TEMPLATES + VALIDATION_TEMPLATES]
    return names[:TRAIN_TEMPLATES]
