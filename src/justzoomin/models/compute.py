"""How a model is computed: number format, memory format, attention, optimizer, compilation. The one place that decides.

What pays is on, what does not is off; docs/training.md has the figures. The hardware is asked, not guessed from its name.
torch is loaded when a plan is made, not when settings are read.
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
        channels_last: Whether weights of convolutions lie with the channels last.
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
        """Bring a model into this form, in place; its weights, names and outputs in 32 bits stay what they are."""
        import torch

        if self.channels_last:
            model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        for name in ("encoder", "matcher_encoder"):
            encoder = getattr(model, name, None)
            choose = getattr(getattr(encoder, "backbone", None), "set_attn_implementation", None)
            if choose is not None and getattr(type(encoder.backbone), "_supports_sdpa", False):  # type: ignore[union-attr]
                choose(self.attention)
            if self.compiled and encoder is not None:
                # The number of distinct views differs from batch to batch: `dynamic` keeps it from compiling each anew.
                encoder.compile(dynamic=True)

    def autocast(self) -> AbstractContextManager[Any]:
        """The context that inference runs in."""
        import torch

        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device, torch.bfloat16 if self.precision == "bf16" else torch.float16)

    def words(self) -> str:
        """What was chosen, on one line."""
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
        precision: A number format, or `auto`: for inference always fp32, so that results are exact and the same everywhere; for
            training bf16 on GPUs that have it and on CPUs with matrix units for it, otherwise fp32.
        training: Whether the plan is for training.
        channels_last: Whether to put channels last; it did not pay where it was tried.
        compiled: Whether to compile the encoder; it did not pay where it was tried.
    """
    kind = str(device).partition(":")[0]
    chosen: Precision
    if precision != "auto":
        chosen, why = precision, "as asked"
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
    """Whether the CPU has matrix units (AMX) for bf16. Where it has not, bf16 products are much slower than those in fp32.

    The AVX512 instructions for bf16 alone do not count: whether they pay was not measured.
    """
    import torch

    return bool(getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)())
