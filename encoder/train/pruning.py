"""Pruning: a preset's encoder cut to a budget of parameters, which then learns from the whole one.

Two towers can be cut. MiniLM loses layers, feed-forward neurons and width of its table of word vectors.
MobileCLIP loses channels: which of them belong together follows from torch-pruning's dependency graph (Fang
et al., "DepGraph", 2023), and which of them matter from its magnitude importance of each group. How many are
kept is what the smaller tower's constructor says, so that the weights that are left are that tower's.
"""

from __future__ import annotations

import copy
import functools
import gc
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch_pruning as tp
from rich.console import Console
from timm.models.fastvit import Attention
from torch import Tensor, nn

from encoder.config import PRESETS, EncoderConfig, preset
from encoder.model import Encoder, build
from encoder.modules.global_view import MobileClip
from encoder.modules.text import MiniLm
from encoder.options import prunable_keys
from encoder.tokenizers import tokenizer_of
from encoder.train import TrainError
from encoder.train.batches import pad, token_ids
from encoder.train.checkpoint import save_tensors, write_file
from encoder.train.options import Options, refuse_differences
from encoder.train.run import Run
from encoder.train.screens import file_sha256
from encoder.train.text_stage import training_texts
from encoder.weights import load_state, load_trained
from runtime.terminal import table

PRUNED, CONFIG, FACTS = "pruned.safetensors", "config.json", "pruning.json"
"""What pruning leaves in the run's folder: weights that nothing has been learned with yet, the encoder's
config, and, written last, what both were made from."""
LADDER = (
    {"text_layers": 6, "text_ffn_dim": 768, "text_embedding_rank": 128, "global_width": 48},
    {"text_layers": 4, "text_ffn_dim": 768, "text_embedding_rank": 96, "global_width": 40},
    {"text_layers": 3, "text_ffn_dim": 384, "text_embedding_rank": 56, "global_width": 24},
    {"text_layers": 2, "text_ffn_dim": 384, "text_embedding_rank": 48, "global_width": 24},
    {"text_layers": 2, "text_ffn_dim": 256, "text_embedding_rank": 32, "global_width": 16},
)
"""Sizes from mild to hard, by config key; the first that meets the budget is taken. `high_performance` has
38.3 M parameters, and pruned 22.2, 17.0, 10.9, 9.8 or 8.2."""
MOST_TEXTS = 20_000
"""Texts that say which words are common."""
READ_TEXTS, BATCH = 256, 32
"""Texts on which activations are measured, and how many of them at once."""
TRACED_SIZE = (64, 64)
"""Height and width, in pixels, of the image that the graph is traced with."""


def pruned_config(config: EncoderConfig, budget: int) -> EncoderConfig:
    """Returns the config of the mildest pruning that has fewer parameters than the budget.

    Raises:
        TrainError: no pruning meets the budget.
    """
    keys, reached = prunable_keys(config), 0
    for size in LADDER:
        found = replace(config, **{key: size[key] for key in keys})
        reached = sum(parameters(found).values())
        if reached < budget:
            return found
    raise TrainError(
        f"a budget of {budget:,} parameters cannot be reached: the hardest pruning leaves {reached:,}"
    )


@functools.cache
def parameters(config: EncoderConfig) -> dict[str, int]:
    """Counts the parameters of each part of an encoder, without giving it values."""
    with torch.device("meta"):
        parts = build(config).named_children()
    return {name: sum(value.numel() for value in part.parameters()) for name, part in parts}


class PruningRun(Run):
    """Prunes a preset's encoder, then trains what is left with the whole one as its teacher.

    Args:
        options: of the run; `preset` is the whole encoder, `init` its safetensors file, or "" for its
            committed checkpoint.
        out, console, more: as in `Run`.
        budget: parameters that the pruned encoder has to stay below.
        weights: of the whole encoder, as `whole_weights` finds them.

    Raises:
        TrainError: the preset cannot be pruned to the budget.
    """

    def __init__(
        self, options: Options, out: Path, console: Console, *, budget: int, weights: Path, **more: Any
    ):
        self.whole, self.file = preset(options.preset), weights
        config = pruned_config(self.whole, budget)
        teacher = f"{options.preset}={options.init}" if options.init else options.preset
        self.of_whole = options
        name = next((name for name, known in PRESETS.items() if known == config), "")
        options = replace(options, preset=name, init=str(out / PRUNED))
        options = replace(options, teacher=teacher, align=teacher)
        super().__init__(options, out, console, config=config, **more)

    def train(self, stages: tuple[str, ...]) -> dict[str, Any]:
        """Prunes and trains what is not done yet; returns the summary of the last stage."""
        self.prune()
        return super().train(stages)

    def prune(self) -> None:
        """Writes the pruned encoder, unless an earlier run with the same settings has.

        Raises:
            TrainError: the folder holds what other settings gave.
            WeightsError: the file is of another encoder.
        """
        facts, settings = self.out / FACTS, self._prune_settings()
        before, after = parameters(self.whole), parameters(self.config)
        if facts.is_file() and (self.out / PRUNED).is_file():
            refuse_differences(json.loads(facts.read_text()), settings, facts)
            self.console.print(f"pruned already: {self.out / PRUNED}", soft_wrap=True)
        else:
            encoder = self._cut()
            save_tensors(self.out / PRUNED, encoder.state_dict(), {})
            write_file(self.out / CONFIG, _json(self.config.to_dict()))
            write_file(facts, _json(settings))
        self.console.print(_comparison(before, after), markup=False, highlight=False)

    def _prune_settings(self) -> dict[str, Any]:
        config = {f"config.{key}": value for key, value in self.config.to_dict().items()}
        texts = "corpora" if self.options.text_teacher else self.options.data
        return {"weights sha256": file_sha256(self.file)[:16], "texts": texts, **config}

    def _cut(self) -> Encoder:
        with self.console.status("") as status:
            status.update("pruning: loading the whole encoder")
            whole = self._load_whole()
            status.update("pruning: building the pruned one")
            pruned = build(self.config)
            status.update("pruning: reading texts")
            texts = self._texts()
            for name, part in pruned.named_children():
                status.update(f"pruning: {name}")
                own = getattr(whole, name)
                if isinstance(own, MiniLm):
                    cut_minilm(own, part, texts)
                elif isinstance(own, MobileClip):
                    cut_mobileclip(own, part)
                else:
                    part.load_state_dict(own.state_dict())
        return pruned

    def _load_whole(self) -> Encoder:
        if not self.of_whole.init:
            return load_trained(self.whole)
        encoder = build(self.whole)
        load_state(encoder, self.file)
        return encoder

    def _texts(self) -> list[np.ndarray]:
        if self.options.text_teacher:
            texts = [text.text for text in training_texts()[0]]
        else:
            texts = [sample.caption for sample in self._read()["train"]]
            texts += [sample.target for sample in self._read()["train"]]
        tokenizer = tokenizer_of(self.config)
        return [token_ids(tokenizer, text) for text in texts[:MOST_TEXTS]]


def _comparison(before: dict[str, int], after: dict[str, int]) -> str:
    rows = [[name, f"{before[name]:,}", f"{after[name]:,}"] for name in before]
    rows.append(["total", f"{sum(before.values()):,}", f"{sum(after.values()):,}"])
    return table(["parameters of", "whole", "pruned"], rows)


def _json(values: dict[str, Any]) -> bytes:
    return (json.dumps(values, indent=1) + "\n").encode()


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
    importance = _neuron_importance(tower, sorted(texts[:READ_TEXTS], key=len))
    layers = smaller.bert.encoder.layer
    for new, old in enumerate(spaced(len(tower.bert.encoder.layer), len(layers))):
        layer = tower.bert.encoder.layer[old]
        kept = importance[old].topk(layers[new].intermediate.dense.out_features).indices.sort().values
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


def _neuron_importance(tower: MiniLm, texts: Sequence[np.ndarray]) -> list[Tensor]:
    """How much each feed-forward neuron adds to its layer's output, float32 [F] a layer."""
    layers = tower.bert.encoder.layer
    squares = [torch.zeros(layer.output.dense.in_features) for layer in layers]
    mask = torch.zeros(0)

    def record(index: int):
        def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            squares[index] += (inputs[0].square() * mask[..., None]).sum(dim=(0, 1))

        return hook

    hooks = [layer.output.dense.register_forward_pre_hook(record(i)) for i, layer in enumerate(layers)]
    for start in range(0, len(texts), BATCH):
        ids, mask = pad(texts[start : start + BATCH])
        tower(ids, mask)
    for hook in hooks:
        hook.remove()
    return [
        found * layer.output.dense.weight.square().sum(dim=0)
        for found, layer in zip(squares, layers, strict=True)
    ]


class _Expanding(nn.Conv2d):
    """A convolution with an input channel a group and several outputs of it: it leads from stage to stage."""


class _ExpandingPruner(tp.pruner.function.ConvPruner):
    """Cuts inputs and outputs apart, as the graph sees them; `cut_mobileclip` keeps them in step."""

    def prune_in_channels(self, layer: _Expanding, idxs: Sequence[int]) -> _Expanding:
        """Forgets input channels; their weights go with the outputs."""
        layer.in_channels -= len(idxs)
        layer.groups -= len(idxs)
        return layer


def cut_mobileclip(view: MobileClip, smaller: MobileClip) -> None:
    """Gives a smaller global view the channels of a larger one that matter most.

    Args:
        view: stays as it is.
        smaller: gets its weights, in place.
    """
    view = copy.deepcopy(view)
    names = {module: name for name, module in view.named_modules()}
    groups, importance = _groups(view), tp.importance.GroupMagnitudeImportance()
    scores = [importance(group) for group in groups]
    streams = [any(isinstance(dep.target.module, _Expanding) for dep, _ in group) for group in groups]
    units = view.tower.stem[0].out_chs
    # A channel of the first stage leads to two of the second, four of the third and so on: all stay, or none.
    of_units = sum(own.view(units, -1).mean(1) for own, stream in zip(scores, streams, strict=True) if stream)
    for group, own, stream in zip(groups, scores, streams, strict=True):
        root = group[0].dep.target.module
        if stream:
            own = of_units.repeat_interleave(len(own) // units)
        elif isinstance(parent := view.get_submodule(names[root].rpartition(".")[0]), Attention):
            own = _of_heads(own, parent.num_heads)
        kept = smaller.get_submodule(names[root]).weight.shape[0]
        group.prune(own.argsort(stable=True)[: len(own) - kept].tolist())
    smaller.load_state_dict(view.state_dict())
    del group, groups, root
    gc.collect()  # the graph is full of cycles over autograd's functions, which crash an ending interpreter


def _groups(view: MobileClip) -> list[tp.dependency.Group]:
    """All sets of channels that can only be cut together."""
    for module in view.modules():
        if isinstance(module, nn.Conv2d) and 1 < module.groups == module.in_channels < module.out_channels:
            module.__class__ = _Expanding
    graph = tp.DependencyGraph().build_dependency(
        view,
        torch.zeros(1, 3, *TRACED_SIZE),
        forward_fn=lambda whole, pixels: whole.projection(whole.tower(pixels)),
        customized_pruners={_Expanding: _ExpandingPruner()},
        verbose=False,
    )
    return list(graph.get_all_groups(ignored_layers=[view.projection]))


def _of_heads(scores: Tensor, heads: int) -> Tensor:
    """Gives all channels of a head the head's score; float32 [3 * heads * D], queries, keys and values."""
    by_head = scores.view(3, heads, -1)  # [3, heads, D]
    return by_head.sum(dim=(0, 2), keepdim=True).expand_as(by_head).flatten()
