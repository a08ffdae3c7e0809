"""How a model is computed: number format, memory format, attention, optimizer, compilation. Only this file decides.

An option is on where it was measured to be faster; docs/training.md has the figures. The hardware is queried, not guessed from
its name. torch is loaded when a plan is made, not when settings are read.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch
    from torch import nn

Precision = Literal["fp32", "bf16", "fp16"]
Attention = Literal["sdpa", "eager"]

_LIGHTNING = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}


@dataclass(frozen=True)
class Compute:
    """How a model is computed on a device.

    Attributes:
        device: Kind of device: `cpu`, `cuda`, `mps`.
        precision: Number format of matrix products; weights stay in 32 bits.
        attention: Attention of the encoder: `sdpa` is torch's fused one.
        channels_last: Whether weights of convolutions are stored with the channels last.
        fused_optimizer: Whether the optimizer's step is one kernel.
        compiled: Whether the encoder is compiled.
        training: Whether it is a plan for training.
        why: Reason for the number format, in words.
    """

    device: str
    precision: Precision = "fp32"
    attention: Attention = "sdpa"
    channels_last: bool = False
    fused_optimizer: bool = True
    compiled: bool = False
    training: bool = False
    why: str = ""

    @property
    def lightning_precision(self) -> Any:
        """The number format as Lightning names it."""
        return _LIGHTNING[self.precision]

    def prepare(self, model: nn.Module) -> None:
        """Change a model in place to be computed this way; its weights, names and outputs in 32 bits do not change.

        On a GPU this also sets whether torch computes convolutions in 32 bits in TF32, which has 10 bits instead of 23.
        """
        import torch

        if self.device == "cuda":
            torch.backends.cudnn.allow_tf32 = self.training  # inference in fp32 gives the same results everywhere
        if self.training and self.device == "cpu" and self.precision == "fp32" and not self.compiled:
            from justzoomin.models.depthwise import quicken_depthwise

            quicken_depthwise(model)
        if self.channels_last:
            model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        for name in ("encoder", "matcher_encoder"):
            encoder = getattr(model, name, None)
            choose = getattr(getattr(encoder, "backbone", None), "set_attn_implementation", None)
            if choose is not None and getattr(type(encoder.backbone), "_supports_sdpa", False):  # type: ignore[union-attr]
                choose(self.attention)
            if self.compiled and encoder is not None:
                # The number of distinct views differs from batch to batch: `dynamic` avoids compiling again for each.
                encoder.compile(dynamic=True)

    def autocast(self) -> AbstractContextManager[Any]:
        """Return the context that inference runs in."""
        import torch

        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device, torch.bfloat16 if self.precision == "bf16" else torch.float16)

    def words(self) -> str:
        """Return the choices in words, on one line."""
        parts = [self.precision + (f" ({self.why})" if self.why else ""), f"{self.attention} attention"]
        fused = self.fused_optimizer and self.training
        parts += [words for words, on in (("channels last", self.channels_last), ("fused optimizer", fused),
                                          ("compiled encoder", self.compiled)) if on]
        return f"{self.device}: {', '.join(parts)}"


def plan(device: str | torch.device, precision: Precision | Literal["auto"] = "auto", *, training: bool = False,
         channels_last: bool = False, compiled: bool = False) -> Compute:
    """Choose how to compute on a device.

    Args:
        device: The device, such as `cpu` or `cuda:1`.
        precision: A number format, or `auto`. For inference `auto` is always fp32, so that results are exact and the same
            everywhere. For training it is bf16 on GPUs that have it and on CPUs with matrix units for it, otherwise fp32.
        training: Whether the plan is for training.
        channels_last: Whether to store channels last; it was not faster where it was tried.
        compiled: Whether to compile the encoder; it was not faster where it was tried.
    """
    kind = str(device).partition(":")[0]
    chosen: Precision
    if precision != "auto":
        chosen, why = precision, "as set"
    elif not training:
        chosen, why = "fp32", "exact"
    elif kind == "cuda":
        import torch

        fast = torch.cuda.is_bf16_supported(including_emulation=False)
        chosen, why = ("bf16", "this GPU has it") if fast else ("fp32", "this GPU has no bf16")
    elif kind == "cpu":
        fast = cpu_multiplies_bf16()
        chosen, why = ("bf16", "this CPU has AMX") if fast else ("fp32", "this CPU has no matrix units for bf16")
    else:
        chosen, why = "fp32", f"bf16 was not tried on {kind}"
    fused = kind in {"cpu", "cuda"} and chosen != "fp16"  # a fused step unscales gradients of fp16 after they were clipped
    return Compute(kind, chosen, channels_last=channels_last, fused_optimizer=fused, compiled=compiled, training=training,
                   why=why)


def cpu_multiplies_bf16() -> bool:
    """Return whether the CPU has matrix units (AMX) for bf16. Without them, products in bf16 are much slower than in fp32.

    The AVX512 instructions for bf16 do not count: their speed was not measured.
    """
    import torch

    return bool(getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)())
