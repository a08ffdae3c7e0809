"""Depthwise convolutions with their own gradient: equal to torch's."""

import pytest
import torch
from torch import nn

from justzoomin.models import plan
from justzoomin.models.depthwise import DepthwiseConv2d, quicken_depthwise


@pytest.mark.parametrize("shape", [(2, 6, 9, 13), (3, 4, 3, 3), (2, 5, 1, 2), (1, 3, 40, 7)])
@pytest.mark.parametrize("size", [3, 7])
@pytest.mark.parametrize("bias", [True, False])
def test_gradients_are_those_of_torch(shape, size, bias):
    torch.manual_seed(0)
    channels = shape[1]
    plain = nn.Sequential(nn.Conv2d(channels, channels, size, padding=size // 2, groups=channels, bias=bias)).double()
    maps, above = torch.randn(shape), torch.randn(shape)
    exact = maps.double().requires_grad_()
    plain(exact).backward(above.double())
    wanted = [exact.grad, *(p.grad for p in plain.parameters())]
    quick = nn.Sequential(nn.Conv2d(channels, channels, size, padding=size // 2, groups=channels, bias=bias))
    quick.load_state_dict({name: value.float() for name, value in plain.state_dict().items()})
    assert quicken_depthwise(quick) == 1 and list(quick.state_dict()) == list(plain.state_dict())
    for layout in (torch.contiguous_format, torch.channels_last):
        own = maps.clone(memory_format=layout).requires_grad_()
        quick.zero_grad()
        quick(own).backward(above)
        for found, value in zip([own.grad, *(p.grad for p in quick.parameters())], wanted, strict=True):
            torch.testing.assert_close(found, value.float(), rtol=1e-4, atol=1e-4)


def test_only_depthwise_convolutions_that_keep_the_size_are_replaced():
    others = nn.Sequential(
        nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1, groups=2), nn.Conv2d(4, 4, 3, groups=4),
        nn.Conv2d(4, 4, 3, padding=1, groups=4, stride=2), nn.Conv2d(4, 8, 3, padding=1, groups=4),
        nn.Conv2d(4, 4, 3, padding=1, groups=4, padding_mode="circular"), nn.Conv2d(4, 4, 2, padding=1, groups=4))
    assert quicken_depthwise(others) == 0
    assert not any(isinstance(child, DepthwiseConv2d) for child in others)


@pytest.mark.parametrize("training", [True, False])
def test_a_training_on_a_cpu_uses_them(training):
    model = nn.Sequential(nn.Conv2d(4, 4, 7, padding=3, groups=4))
    weight = model[0].weight
    plan("cpu", "fp32", training=training).prepare(model)
    assert isinstance(model[0], DepthwiseConv2d) == training
    assert model[0].weight is weight
