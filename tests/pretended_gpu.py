"""A pretended GPU: tensors on torch's `meta` device that hold their values, and do not mix with tensors of the CPU.

torch's own `meta` tensors have no values, so nothing that reads one (`.item()`, a mask as an index, a choice of the best cells)
runs on them. These have, so complete trainings and searches run, and their results can be compared with the CPU's.
The rules are CUDA's: an operator refuses tensors of two devices. A number (a tensor without dimensions), indices, and the
source of a copy may be on the CPU. `.numpy()` works on the CPU alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

GPU = torch.device("meta")
_aten = torch.ops.aten
_COPIES = {_aten.copy_.default, _aten._to_copy.default}
_INDEXED = {_aten.index.Tensor: 1, _aten.index_put.default: 1, _aten.index_put_.default: 1, _aten._index_put_impl_.default: 1,
            _aten._unsafe_index_put.default: 1, _aten._unsafe_index.Tensor: 1}
"""Operators whose indices may be on the CPU: the number of arguments before the indices."""


class OnGpu(torch.Tensor):
    """A tensor on the pretended GPU."""

    values: torch.Tensor

    @staticmethod
    def __new__(cls, values: torch.Tensor) -> OnGpu:
        made: OnGpu = torch.Tensor._make_wrapper_subclass(
            cls, values.size(), strides=values.stride(), storage_offset=values.storage_offset(), dtype=values.dtype,
            device=GPU, requires_grad=False)
        made.values = values
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})

    def __repr__(self) -> str:
        return f"OnGpu({self.values!r})"

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def new_tensor(self, values: Any) -> OnGpu:
        return OnGpu(self.values.new_tensor(values))


class _Factories(TorchDispatchMode):
    """Makes tensors on the pretended GPU where an operator names its device, and moves them there from the CPU."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


@contextlib.contextmanager
def pretended_gpu() -> Iterator[torch.device]:
    """Give the device, on which tensors can be made and computed with inside the block."""
    with pytest.MonkeyPatch.context() as patch, _Factories():
        patch.setattr(torch, "autocast", _no_autocast)  # torch knows no number formats on `meta`
        real = torch.tensor  # it would make a tensor without values
        patch.setattr(torch, "tensor", lambda values, device=None, **more: real(values, **more).to(device or "cpu"))
        # A wrapper cannot be a view of a tensor that was made outside of inference mode.
        patch.setattr(torch.inference_mode, "__enter__", _without_gradients)
        patch.setattr(torch.inference_mode, "__exit__", lambda self, *error: self._off.__exit__(*error))
        yield GPU


def _without_gradients(mode: Any) -> None:
    mode._off = torch.no_grad()
    mode._off.__enter__()


def _no_autocast(kind: str, *_: Any, enabled: bool = True, **__: Any) -> Any:
    assert kind == GPU.type and not enabled
    return contextlib.nullcontext()


def move(module: torch.nn.Module) -> None:
    """Move a module to the pretended GPU, as `.to(device)` would: parameters and buffers, and nothing else."""
    for part in module.modules():
        for name, parameter in part._parameters.items():
            if parameter is not None:
                part._parameters[name] = torch.nn.Parameter(OnGpu(parameter.detach()), requires_grad=parameter.requires_grad)
        for name, buffer in part._buffers.items():
            if buffer is not None:
                part._buffers[name] = OnGpu(buffer)
        if "_device" in vars(part):  # what Lightning tells as the device
            part._device = GPU


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    wanted = kwargs.get("device")
    given = [each for each in tree_flatten((args, kwargs))[0] if isinstance(each, torch.Tensor)]
    here = any(isinstance(each, OnGpu) for each in given)
    assert not any(each.is_meta and not isinstance(each, OnGpu) for each in given), f"{func}: a tensor without values"
    if wanted is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}
        there = torch.device(wanted).type == GPU.type
    else:
        there = here and not (func is _aten.copy_.default and not isinstance(args[0], OnGpu))
    if here and func not in _COPIES:
        _refuse_mixed(func, args, kwargs)
    with torch._C._DisableTorchDispatch():
        found = func(*tree_map(_values, args), **tree_map(_values, kwargs))
    written = [argument.name for argument in func._schema.arguments if argument.alias_info and argument.alias_info.is_write]
    if written and isinstance(found, torch.Tensor):  # in place: the same tensor comes back
        names = [argument.name for argument in func._schema.arguments]
        return kwargs[written[0]] if written[0] in kwargs else args[names.index(written[0])]
    return tree_map(_on_gpu, found) if there else found


def _refuse_mixed(func: Any, args: Any, kwargs: dict[str, Any]) -> None:
    """Raise what CUDA raises if an operator gets tensors of both devices."""
    first = _INDEXED.get(func)
    counted = args if first is None else (*args[:first], *args[first + 1:])
    tensors = [each for each in tree_flatten((counted, kwargs))[0] if isinstance(each, torch.Tensor)]
    if any(isinstance(each, OnGpu) for each in tensors) and any(not isinstance(each, OnGpu) and each.ndim for each in tensors):
        raise RuntimeError(f"{func}: expected all tensors to be on the same device, but found cpu and {GPU}")
    if first is not None and not isinstance(args[0], OnGpu):  # a tensor of the CPU takes no indices of a GPU
        raise RuntimeError(f"{func}: indices should be on the CPU, like the indexed tensor, but found {GPU}")


def _values(each: Any) -> Any:
    return each.values if isinstance(each, OnGpu) else each


def _on_gpu(each: Any) -> Any:
    return OnGpu(each) if isinstance(each, torch.Tensor) and not isinstance(each, OnGpu) else each
