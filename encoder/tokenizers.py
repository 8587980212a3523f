"""Tokenizers: the files that turn typed text into ids, by the name that the runtime knows each kind by."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from encoder.config import BYTE_BPE, VOCABULARY, EncoderConfig, choose
from encoder.options import options
from runtime.tokenizers import Tokenizer, open_tokenizer


@dataclass(frozen=True)
class TokenizerFiles:
    """What a bundle carries for its texts.

    Attributes:
        entry: the manifest's entry "tokenizer", but for how a text is cut: type, files by role, and what else
            the runtime has to know.
        files: the files, under the names that the entry gives them.
    """

    entry: dict[str, Any]
    files: dict[str, Path]


TOKENIZERS: dict[str, TokenizerFiles] = {
    "wordpiece": TokenizerFiles(
        {"type": "wordpiece", "vocab": VOCABULARY.name, "lowercase": True}, {VOCABULARY.name: VOCABULARY}
    ),
    "byte_bpe": TokenizerFiles(
        {"type": "byte_bpe", "vocab": "vocab.json", "merges": "merges.txt"},
        {name: BYTE_BPE / name for name in ("vocab.json", "merges.txt")},
    ),
}


def tokenizer_files(config: EncoderConfig) -> TokenizerFiles:
    """Returns the tokenizer of a config's text model.

    Raises:
        ConfigError: there is no such text model.
    """
    tower = choose("text_model", options("text_model"), config.text_model)
    return TOKENIZERS[tower.get("tokenizer", "wordpiece")]


def tokenizer_of(config: EncoderConfig) -> Tokenizer:
    """Opens the tokenizer of a config's text model, the runtime's own.

    Raises:
        ConfigError: there is no such text model.
    """
    chosen = tokenizer_files(config)
    cut = {"max_length": config.text_max_length, "truncation": config.text_truncation}
    return open_tokenizer(chosen.entry | cut, chosen.files.__getitem__)
