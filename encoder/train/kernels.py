"""What the kernels that compute an encoder in training ask of its modules; the outputs stay the same."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from encoder.modules.disabled_blocks import DisabledBlock, disabled_blocks
from encoder.train.teacher import has_bfloat16


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


def mixed_precision(device: torch.device) -> torch.autocast:
    """bfloat16 where the processor multiplies it itself."""
    fast = torch.cuda.is_bf16_supported() if device.type == "cuda" else has_bfloat16()
    return torch.autocast(device.type, torch.bfloat16, enabled=fast)


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
