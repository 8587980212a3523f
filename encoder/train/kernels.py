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
STEPS = 255
"""Of an 8-bit range."""


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


def fake_quantize(encoder: nn.Module) -> None:
    """Makes an encoder, in place, quantize and dequantize its word vectors and activations.

    Forward values are quantized and dequantized as the quantization recipe will, gradients pass unchanged
    (the straight-through estimator of Bengio et al., 2013; as in Jacob et al., 2018). Word vectors get 4 bits
    with a scale a row. What goes into and comes out of every linear layer, every activation of a convolution
    and every residual sum of the backbone get 8 bits with a range a tensor. Weights have a scale a channel
    and lose too little to matter.

    Our own hooks, since torch.ao's QAT wants modules swapped or a graph traced; the kernel is torch's.
    """
    words = _largest_table(encoder)
    for module in encoder.modules():
        if module is words:
            module.register_forward_hook(lambda _, __, rows: _straight_through(rows, _four_bits(rows)))
        elif isinstance(module, nn.Linear):
            module.register_forward_pre_hook(_quantize_input)
            module.register_forward_hook(_quantize_output)
        elif isinstance(module, BatchNormAct2d):
            module.act.register_forward_pre_hook(_quantize_input)
            if not isinstance(module.act, nn.Identity):
                module.act.register_forward_hook(_quantize_output)
        elif isinstance(module, BottleneckBlock):
            module.register_forward_hook(_quantize_output)


def _largest_table(encoder: nn.Module) -> nn.Embedding | None:
    tables = [module for module in encoder.modules() if isinstance(module, nn.Embedding)]
    return max(tables, key=lambda table: table.num_embeddings, default=None)


def _quantize_input(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (_eight_bits(inputs[0]), *inputs[1:])


def _quantize_output(_: nn.Module, __: tuple[Tensor, ...], found: Tensor) -> Tensor:
    return _eight_bits(found)


def _straight_through(exact: Tensor, quantized: Tensor) -> Tensor:
    """The quantized values, with the gradient of the exact ones."""
    return exact + (quantized - exact).detach()


def _four_bits(rows: Tensor) -> Tensor:
    """Quantizes vectors, [..., D], each to 15 levels of its own scale."""
    rows = rows.detach()
    scale = (rows.abs().amax(dim=-1, keepdim=True) / WORD_LEVELS).clamp(min=1e-12)
    return (rows / scale).round() * scale


def _eight_bits(values: Tensor) -> Tensor:
    """Quantizes a tensor to 256 levels from its smallest to its largest value; the gradient passes."""
    low, high = (bound.float() for bound in values.detach().aminmax())
    low, high = low.clamp(max=0), high.clamp(min=0)
    scale = ((high - low) / STEPS).clamp(min=1e-12)
    zero = (-low / scale).round().clamp(0, STEPS).to(torch.int32)
    return torch.fake_quantize_per_tensor_affine(values.float(), scale, zero, 0, STEPS).to(values.dtype)
