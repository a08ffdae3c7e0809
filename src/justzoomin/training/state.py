"""The state that an interrupted run resumes from, read with suspicion: a damaged one is said to be so."""

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
_REMEDY = "Start a new run in another folder; --set init=MODEL lets it begin with a saved model, such as this models/best."
_UNREADABLE = (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, LookupError, AttributeError, TypeError)


def load_state(path: Path, device: Any = "cpu") -> dict[str, Any]:
    """Read a state; nothing but tensors and plain values is unpickled.

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
    """Refuse the weights of a state that are not those of the model.

    Raises:
        TrainingError: If names or shapes differ.
    """
    shapes = {name: getattr(tensor, "shape", None) for name, tensor in found.items()} if isinstance(found, dict) else {}
    wrong = {name for name in {*shapes, *wanted} if name not in wanted or shapes.get(name) != wanted[name].shape}
    if wrong:
        raise TrainingError(where, f"it holds another model than this run's settings describe ({len(wrong)} tensors differ, "
                            f"first {printable(min(wrong, key=str), 80)})", _REMEDY)
