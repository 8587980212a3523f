"""Cuts MiniLM to fewer layers, narrower feed-forward parts and a narrow table of word vectors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from encoder.modules.text import MiniLm
from encoder.train.text_data import pad

HEARD_TEXTS, BATCH = 256, 32
"""Texts on which neurons are listened to, and how many of them at once."""


@torch.no_grad()
def cut_minilm(tower: MiniLm, smaller: MiniLm, texts: Sequence[np.ndarray]) -> None:
    """Gives a smaller tower what matters most in a larger one.

    Layers are kept evenly spaced, the first and the last among them, as DistilBERT starts from layers of
    BERT (Sanh et al., 2019): of three of all-MiniLM-L6-v2's, untrained, 0, 3 and 5 keep a rank correlation of
    0.64 with its similarities, 1, 3 and 5 keep 0.47. Of a feed-forward part those neurons are kept that add
    most to its output on the texts, their mean square times that of their weights (as Wanda scores weights,
    Sun et al., 2023). Word vectors become the nearest product of a narrow table and a matrix, each word
    weighted with how often it occurs.

    Args:
        tower: stays as it is.
        smaller: gets its weights, in place.
        texts: ids of texts without padding, int32 [L] each.
    """
    state = {name: value for name, value in tower.state_dict().items() if ".layer." not in name}
    loudness = _neuron_loudness(tower, sorted(texts[:HEARD_TEXTS], key=len))
    layers = smaller.bert.encoder.layer
    for new, old in enumerate(spaced(len(tower.bert.encoder.layer), len(layers))):
        layer = tower.bert.encoder.layer[old]
        kept = loudness[old].topk(layers[new].intermediate.dense.out_features).indices.sort().values
        for name, value in layer.state_dict().items():
            if name.startswith("intermediate.dense"):
                value = value[kept]
            elif name == "output.dense.weight":
                value = value[:, kept]
            state[f"bert.encoder.layer.{new}.{name}"] = value
    words = smaller.bert.embeddings.word_embeddings
    if not isinstance(words, nn.Embedding):
        name = "bert.embeddings.word_embeddings"
        table = state.pop(f"{name}.weight")
        counts = np.bincount(np.concatenate(texts), minlength=len(table))
        state[f"{name}.words.weight"], state[f"{name}.widen.weight"] = factorized(
            table, torch.from_numpy(counts), words.words.embedding_dim
        )
    smaller.load_state_dict(state)


def spaced(layers: int, kept: int) -> list[int]:
    """Places of so many layers of a stack, evenly spaced from the first to the last; of one, the last."""
    steps = kept - 1
    return (
        [(2 * place * (layers - 1) + steps) // (2 * steps) for place in range(kept)]
        if steps
        else [layers - 1]
    )


def factorized(table: Tensor, counts: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """The product nearest to a table by squares, where a row counts as often as it occurs, and once more.

    Args:
        table: float32 [V, D].
        counts: int [V].
        rank: of the product, at most D.

    Returns:
        Float32 [V, rank] and [D, rank], the first times the second's transpose; the second's columns are
        orthonormal.
    """
    weighted = (table * (counts + 1.0).sqrt()[:, None]).double()
    _, vectors = torch.linalg.eigh(weighted.T @ weighted)
    basis = vectors.flip(1)[:, :rank].float().contiguous()  # [D, rank]
    return table @ basis, basis


def _neuron_loudness(tower: MiniLm, texts: Sequence[np.ndarray]) -> list[Tensor]:
    """How much each feed-forward neuron adds to its layer's output, float32 [F] a layer."""
    layers = tower.bert.encoder.layer
    squares = [torch.zeros(layer.output.dense.in_features) for layer in layers]
    mask = torch.zeros(0)

    def listen(index: int):
        def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            squares[index] += (inputs[0].square() * mask[..., None]).sum(dim=(0, 1))

        return hook

    hooks = [layer.output.dense.register_forward_pre_hook(listen(i)) for i, layer in enumerate(layers)]
    for start in range(0, len(texts), BATCH):
        ids, mask = pad(texts[start : start + BATCH])
        tower(ids, mask)
    for hook in hooks:
        hook.remove()
    return [
        found * layer.output.dense.weight.square().sum(dim=0)
        for found, layer in zip(squares, layers, strict=True)
    ]
