"""Depthwise convolutions whose weights get their gradient sooner on a CPU.

For the 7 x 7 kernels of a ConvNeXt torch takes many times as long for that gradient as for the convolution itself, and most for
feature maps that are smaller than the kernel. Here it is a sum over the overlap of two shifted maps for each place of the
kernel, with the channels last, which a processor does many channels at a time.
`python benchmarks/depthwise.py` compares both.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class _Depthwise(torch.autograd.Function):
    """A depthwise convolution of stride 1 that keeps the size of its maps (N, C, H, W); weights are (C, 1, k, k)."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(maps, weight)
        return functional.conv2d(maps, weight, padding=weight.shape[-1] // 2, groups=len(weight))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:
        maps, weight = ctx.saved_tensors
        above, (of_maps, of_weight) = gradients[0], ctx.needs_input_grad
        size, groups = weight.shape[-1], len(weight)
        return (functional.conv2d(above, weight.flip(2, 3), padding=size // 2, groups=groups) if of_maps else None,
                weight_gradient(maps, above, size) if of_weight else None)


def weight_gradient(maps: Tensor, above: Tensor, size: int) -> Tensor:
    """Return the gradient (C, 1, k, k) of a depthwise convolution's weights.

    Args:
        maps: Its input (N, C, H, W).
        above: The gradient of its output, of the same shape.
        size: Edge k of the kernel, odd.
    """
    seen, above = (values.permute(0, 2, 3, 1).contiguous() for values in (maps, above))  # (N, H, W, C)
    height, width, half = *seen.shape[1:3], size // 2
    found, room = seen.new_zeros(size, size, seen.shape[-1]), torch.empty_like(seen).flatten()
    for down in range(max(-half, 1 - height), min(half, height - 1) + 1):
        rows, shifted_rows = slice(max(0, -down), height - max(0, down)), slice(max(0, down), height + min(0, down))
        for across in range(max(-half, 1 - width), min(half, width - 1) + 1):
            columns = slice(max(0, -across), width - max(0, across))
            one, other = seen[:, shifted_rows, max(0, across):width + min(0, across)], above[:, rows, columns]
            product = torch.mul(one, other, out=room[:one.numel()].view(one.shape))  # fresh memory each time would cost more
            torch.sum(product, (0, 1, 2), out=found[half + down, half + across])
    return found.permute(2, 0, 1)[:, None]


class DepthwiseConv2d(nn.Conv2d):
    """A depthwise convolution with this gradient, for training on a CPU in 32 bits."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the convolved maps (N, C, H, W)."""
        if not (torch.is_grad_enabled() and self.weight.requires_grad and input.device.type == "cpu"
                and input.dtype == self.weight.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")):
            return super().forward(input)
        found: Tensor = _Depthwise.apply(input, self.weight)  # type: ignore[no-untyped-call]
        return found if self.bias is None else found + self.bias[:, None, None]


def quicken_depthwise(model: nn.Module) -> int:
    """Replace a model's depthwise convolutions in place, with the same weights under the same names; return their number."""
    found = [(parent, name, child) for parent in model.modules() for name, child in parent.named_children()
             if type(child) is nn.Conv2d and _is_depthwise(child)]
    for parent, name, conv in found:
        edge = conv.kernel_size[0]
        other = DepthwiseConv2d(conv.in_channels, conv.out_channels, edge, padding=edge // 2, groups=conv.groups,
                                bias=conv.bias is not None, device="meta")
        other.weight, other.bias = conv.weight, conv.bias
        setattr(parent, name, other.train(conv.training))
    return len(found)


def _is_depthwise(conv: nn.Conv2d) -> bool:
    edge = conv.kernel_size[0]
    return (conv.groups == conv.in_channels == conv.out_channels and conv.kernel_size == (edge, edge) and edge % 2 == 1
            and conv.stride == (1, 1) and conv.dilation == (1, 1) and conv.padding == (edge // 2, edge // 2)
            and conv.padding_mode == "zeros")
