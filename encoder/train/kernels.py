"""How an encoder's modules compute while it trains: kernels that suit the device, and fake quantization."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator

import torch
from timm.layers import BatchNormAct2d
from timm.models.byobnet import BottleneckBlock
from timm.utils import reparameterize_model
from torch import Tensor, nn

from encoder.model import Encoder
from encoder.modules.disabled_blocks import DisabledBlock, disabled_blocks

WORD_LEVELS = 7
"""Largest magnitude of a signed 4-bit number whose range is symmetric."""


def suit_kernels(encoder: nn.Module, device: torch.device) -> None:
    """Prepares an encoder's modules, in place, for being trained on a device.

    Args:
        encoder: with a part `backbone`.
        device: where it will be trained.
    """
    # Convolutions are faster where channels lie together; the images come that way as well.
    encoder.backbone.to(memory_format=torch.channels_last)
    _no_dropout(encoder)
    for block in disabled_blocks(encoder.backbone).values():
        block.__class__ = DisabledBlock
    if device.type == "cpu":
        if has_bfloat16():
            _plain_attention(encoder)
        _subsampled_first(encoder)


def has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 itself; elsewhere it would be slower than float32."""
    return bool(torch.cpu.get_capabilities().get("avx512_bf16"))


def mixed_precision(device: torch.device) -> torch.autocast:
    """bfloat16 where the processor multiplies it itself."""
    fast = torch.cuda.is_bf16_supported() if device.type == "cuda" else has_bfloat16()
    return torch.autocast(device.type, torch.bfloat16, enabled=fast)


@contextlib.contextmanager
def repeatable(device: torch.device) -> Iterator[None]:
    """On a CPU the same steps give the same bits; threads otherwise add in the order in which they end."""
    before = torch.are_deterministic_algorithms_enabled(), torch.utils.deterministic.fill_uninitialized_memory
    torch.use_deterministic_algorithms(device.type == "cpu")
    torch.utils.deterministic.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.utils.deterministic.fill_uninitialized_memory = before[1]


def _no_dropout(encoder: nn.Module) -> None:
    """These encoders are small and see each text once or twice: dropout would only slow them down."""
    for module in encoder.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0


def _plain_attention(encoder: nn.Module) -> None:
    """PyTorch's fused attention is slow in bfloat16 on a CPU; plain products and a softmax are not."""
    for module in encoder.modules():
        if hasattr(module, "fused_attn"):
            module.fused_attn = False


class SubsampledConv(nn.Conv2d):
    """A strided 1x1 convolution as a stride-1 one of the pixels that it reads.

    oneDNN's backward pass of the strided form writes past the end of its gradient where channels lie together
    and their number fills no vector, as an image's three: the process dies later, anywhere. (PyTorch 2.14.1,
    AVX2 and AVX-512; `jit_1x1:avx2,backward_weights` of 3 to 64 channels, under glibc's `MALLOC_CHECK_=3`.)
    """

    def forward(self, image: Tensor) -> Tensor:
        """Maps [B, C, H, W] to [B, D, ceil(H / rows), ceil(W / columns)]."""
        rows, columns = self.stride
        return nn.functional.conv2d(image[:, :, ::rows, ::columns], self.weight, self.bias)


def _subsampled_first(encoder: nn.Module) -> None:
    for module in encoder.modules():
        if (
            type(module) is nn.Conv2d
            and module.kernel_size == (1, 1)
            and module.stride != (1, 1)
            and (module.groups, module.padding) == (1, (0, 0))
        ):
            # The same parameters and settings, so that whatever reads them sees a convolution as before.
            module.__class__ = SubsampledConv


def fused(encoder: Encoder) -> Encoder:
    """Returns a copy that computes the same tokens faster: parallel branches as one convolution each."""
    return reparameterize_model(copy.deepcopy(encoder).eval(), inplace=True)


def fake_quantize(encoder: nn.Module, bits: int = 8) -> None:
    """Makes an encoder, in place, quantize and dequantize its word vectors and activations.

    Forward values are quantized and dequantized as the quantization recipe will, gradients pass unchanged
    (the straight-through estimator of Bengio et al., 2013; as in Jacob et al., 2018). Word vectors get 4 bits
    with a scale a row. What goes into and comes out of every linear layer, every activation of a convolution
    and every residual sum of the backbone get a range a tensor, which the first half of the batch sets for
    all of it: on a phone too, other screens have set it. Weights have a scale a channel and lose too little
    to matter.

    Our own hooks, since torch.ao's QAT wants modules swapped or a graph traced, and its kernel is slower.

    Args:
        encoder: changed in place.
        bits: of activations. Fewer than a phone has teach an encoder to bear more noise than it will meet.
    """
    words = _largest_table(encoder)

    def quantize_input(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (_in_steps(inputs[0], 2**bits - 1), *inputs[1:])

    def quantize_output(_: nn.Module, __: tuple[Tensor, ...], found: Tensor) -> Tensor:
        return _in_steps(found, 2**bits - 1)

    for module in encoder.modules():
        if module is words:
            module.register_forward_hook(lambda _, __, rows: _four_bits(rows))
        elif isinstance(module, nn.Linear):
            module.register_forward_pre_hook(quantize_input)
            module.register_forward_hook(quantize_output)
        elif isinstance(module, BatchNormAct2d):
            module.act.register_forward_pre_hook(quantize_input)
            if not isinstance(module.act, nn.Identity):
                module.act.register_forward_hook(quantize_output)
        elif isinstance(module, BottleneckBlock):
            module.register_forward_hook(quantize_output)


@torch.no_grad()
def round_word_vectors(encoder: nn.Module) -> None:
    """Rounds word vectors, in place, to the 4 bits that fake quantization gave them.

    What was trained with them computes the same; what ships in 4 bits then holds them exactly.
    """
    words = _largest_table(encoder)
    if words is not None:
        words.weight.copy_(_four_bits(words.weight))


def _largest_table(encoder: nn.Module) -> nn.Embedding | None:
    tables = [module for module in encoder.modules() if isinstance(module, nn.Embedding)]
    return max(tables, key=lambda table: table.num_embeddings, default=None)


class _Quantized(torch.autograd.Function):
    """Values rounded to steps, with the gradient of the exact ones (the straight-through estimator)."""

    @staticmethod
    def forward(_, exact: Tensor, scale: Tensor, least: float, most: float) -> Tensor:
        # In place, and in the precision that the values have: here such a training spends its time.
        return exact.div(scale).round_().clamp_(least, most).mul_(scale)

    @staticmethod
    def backward(_, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        return gradient, None, None, None


def _four_bits(rows: Tensor) -> Tensor:
    """Quantizes vectors, [..., D], each to 15 levels of its own scale; the gradient passes."""
    scale = (rows.detach().abs().amax(dim=-1, keepdim=True) / WORD_LEVELS).clamp(min=1e-12)
    return _Quantized.apply(rows, scale, -WORD_LEVELS, WORD_LEVELS)


def _in_steps(values: Tensor, steps: int) -> Tensor:
    """Quantizes a tensor in equal steps over the range of its first half; the gradient passes."""
    low, high = (bound.item() for bound in values.detach()[: (len(values) + 1) // 2].aminmax())
    low, high = min(low, 0.0), max(high, 0.0)
    scale = max((high - low) / steps, 1e-12)
    least = round(low / scale)
    return _Quantized.apply(values, torch.tensor(scale, dtype=values.dtype), least, least + steps)
