"""What moves the weights: AdamW by part, the LR schedule, the EMA that is kept, and suitable kernels."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from timm.utils import ModelEmaV3
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from encoder.modules.disabled_blocks import DisabledBlock, disabled_blocks
from encoder.train.options import StageOptions

LAST_RATE = 0.01
"""Of the full rate, at the end of the cosine."""


def make_optimizer(
    trained: Mapping[str, nn.Parameter], heads: nn.Module, options: StageOptions
) -> torch.optim.AdamW:
    """Makes AdamW with a group for each rate, with decay and without.

    Args:
        trained: the encoder's parameters that are trained, by name.
        heads: modules that only training has.
        options: of the stage.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in [*trained.items(), *heads.named_parameters(prefix="heads")]:
        rate = options.rate
        if name.startswith("backbone."):
            rate = options.backbone_rate
        elif name.startswith("text."):
            rate = options.text_rate
        table = "embeddings" in name or name in ("fusion.query", "fusion.positions")
        decay = 0.0 if parameter.ndim <= 1 or table else options.weight_decay
        groups.setdefault((rate, decay), []).append(parameter)
    return torch.optim.AdamW(
        [{"params": params, "lr": rate, "weight_decay": decay} for (rate, decay), params in groups.items()],
        betas=(0.9, 0.98),
        fused=True,
    )


def rate_factor(progress: float, warmup: float) -> float:
    """The part of the full learning rate: a linear warmup, then a cosine down to LAST_RATE.

    Args:
        progress: of the stage, 0 to 1.
        warmup: share of the stage in which the rates rise.
    """
    if progress < warmup:
        return max(progress / warmup, LAST_RATE)
    done = min((progress - warmup) / max(1 - warmup, 1e-9), 1.0)
    return LAST_RATE + (1 - LAST_RATE) * (1 + math.cos(math.pi * done)) / 2


def make_scheduler(
    optimizer: torch.optim.Optimizer, progress: Callable[[], float], warmup: float
) -> LambdaLR:
    """Makes an LR scheduler that follows the progress of a stage, which may be limited by the clock."""
    return LambdaLR(optimizer, lambda _: rate_factor(progress(), warmup))


class Ema(ModelEmaV3):
    """timm's exponential moving average of weights and batch-norm statistics, which knows when it restarted.

    Args:
        encoder: its weights are the first value.
        decay: how much of the old value a step keeps; less in the first steps, (1 + n) / (10 + n).

    Attributes:
        module: the averaged encoder, in evaluation mode.
        updates: steps that the average has taken in since it was restarted.
    """

    def __init__(self, encoder: nn.Module, decay: float):
        super().__init__(encoder, decay, use_warmup=True, warmup_gamma=9.0, warmup_power=1.0)
        self.requires_grad_(False)
        self.updates = 0

    def restart(self, encoder: nn.Module) -> None:
        """Forgets what was averaged and begins with these weights."""
        self.set(encoder)
        self.updates = 0

    def take(self, encoder: nn.Module) -> None:
        """Takes in the weights after a step."""
        self.update(encoder, step=self.updates + 2)  # timm warms up from its third step on
        self.updates += 1


def optimizer_tensors(
    optimizer: torch.optim.Optimizer, names: Mapping[nn.Parameter, str]
) -> dict[str, Tensor]:
    """Returns the optimizer's state as named tensors, such as `exp_avg.fusion.query`."""
    return {
        f"{key}.{names[parameter]}": value
        for parameter, state in optimizer.state.items()
        for key, value in state.items()
    }


def restore_optimizer(
    optimizer: torch.optim.Optimizer, names: Mapping[nn.Parameter, str], tensors: Mapping[str, Tensor]
) -> None:
    """Puts named tensors back as the optimizer's state."""
    for parameter, name in names.items():
        found = {key: tensors.get(f"{key}.{name}") for key in ("step", "exp_avg", "exp_avg_sq")}
        if found["step"] is None:
            continue  # no gradient has reached it yet
        state = {key: torch.empty_like(parameter).copy_(found[key]) for key in ("exp_avg", "exp_avg_sq")}
        optimizer.state[parameter] = {"step": found["step"].to(parameter.device), **state}


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
