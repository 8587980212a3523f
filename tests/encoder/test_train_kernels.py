"""What is changed about an encoder for the kernels that train it leaves its outputs and gradients as they were."""

import copy

import pytest
import torch
from torch import nn

from encoder.train.kernels import SubsampledConv, suit_kernels

CPU = torch.device("cpu")


class WithBranch(nn.Module):
    """A backbone whose first layer has a strided 1x1 branch beside a 3x3 convolution, as FastViT's stem."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.ModuleDict(
            {"branch": nn.Conv2d(3, 64, 1, stride=2), "kernel": nn.Conv2d(3, 64, 3, stride=2, padding=1)}
        )

    def forward(self, image):
        return self.backbone["branch"](image) + self.backbone["kernel"](image)


@pytest.mark.parametrize("size", [(32, 16), (33, 17)])
def test_a_strided_branch_computes_the_same(size):
    torch.manual_seed(0)
    plain = WithBranch().double()
    suited = copy.deepcopy(plain)
    suit_kernels(suited, CPU)
    assert isinstance(suited.backbone["branch"], SubsampledConv)
    assert type(suited.backbone["kernel"]) is nn.Conv2d
    image = torch.randn(2, 3, *size, dtype=torch.double)
    for encoder in (plain, suited):
        encoder(image).square().sum().backward()
    assert torch.allclose(plain(image), suited(image), atol=1e-12)
    for (name, one), other in zip(plain.named_parameters(), suited.parameters(), strict=True):
        assert torch.allclose(one.grad, other.grad, rtol=1e-9), name
    assert plain.state_dict().keys() == suited.state_dict().keys()


def test_single_precision_gradients_of_a_strided_branch_are_those_of_double_precision():
    # The strided form itself is not run: it may kill the process.
    torch.manual_seed(0)
    exact = WithBranch().double()
    suited = WithBranch()
    suited.load_state_dict(exact.state_dict())
    suit_kernels(suited, CPU)
    image = torch.randn(3, 3, 64, 32).to(memory_format=torch.channels_last)
    exact(image.double()).square().mean().backward()
    suited(image).square().mean().backward()
    found, right = suited.backbone["branch"].weight.grad, exact.backbone["branch"].weight.grad
    assert torch.allclose(found.double(), right, rtol=1e-4, atol=1e-6)
