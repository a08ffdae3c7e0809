"""The state that an interrupted run resumes from. It is checked when read, and a damaged state is reported as such."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from justzoomin.errors import TrainingError
from justzoomin.models import check_torch_file
from justzoomin.untrusted import printable

_NEEDED = ("epoch", "global_step", "state_dict", "optimizer_states", "lr_schedulers", "loops", "batches_done",
           "train_split_hash")
_REMEDY = "Start a new run in another folder; --set init=MODEL starts it from a saved model, such as this run's models/best."
_UNREADABLE = (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, LookupError, AttributeError, TypeError)


def load_state(path: Path, device: Any = "cpu") -> dict[str, Any]:
    """Read a state; only tensors and plain values are unpickled.

    Raises:
        TrainingError: If it cannot be read, is damaged, or lacks a part.
    """
    try:
        check_torch_file(path)
        state = torch.load(path, map_location=device, weights_only=True)
    except _UNREADABLE as error:
        reason = printable(str(error).partition("\n")[0], 160) or type(error).__name__
        raise TrainingError(path, f"the state of this run is damaged ({reason})", _REMEDY) from error
    missing = [name for name in _NEEDED if not isinstance(state, dict) or name not in state]
    if missing or type(state["global_step"]) is not int:
        what = ", ".join(missing) or "global_step"
        raise TrainingError(path, f"the state of this run is damaged ({what} is missing or wrong)", _REMEDY)
    return dict(state)


def check_weights(found: Any, wanted: Mapping[str, torch.Tensor], where: str | Path) -> None:
    """Refuse a state whose weights do not fit the model.

    Raises:
        TrainingError: If names or shapes differ.
    """
    shapes = {name: getattr(tensor, "shape", None) for name, tensor in found.items()} if isinstance(found, dict) else {}
    wrong = {name for name in {*shapes, *wanted} if name not in wanted or shapes.get(name) != wanted[name].shape}
    if wrong:
        raise TrainingError(where, f"its model differs from the one in this run's settings ({len(wrong)} tensors differ, the "
                            f"first is {printable(min(wrong, key=str), 80)})", _REMEDY)
