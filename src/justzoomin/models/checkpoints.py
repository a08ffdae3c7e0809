"""Model folders: weights, settings, grid and provenance. They are written completely or not at all, and checked when opened.

A folder holds `model.safetensors`, `config.json` (ModelConfig with the encoder's full architecture, so that the hub is not
needed to open it), `region.yaml` (the grid the model was trained on; absent if unknown) and `provenance.json`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from justzoomin.errors import ModelError
from justzoomin.files import work_folder, write_bytes
from justzoomin.geometry import ZoomGrid, load_grid, save_grid
from justzoomin.models.compute import plan
from justzoomin.models.config import ModelConfig, setting_problems
from justzoomin.models.encoder_names import match_names
from justzoomin.models.folders import CONFIG_FILE, GRID_FILE, PROVENANCE_FILE, SAVED_FILES, WEIGHTS_FILE, find_folder, unbind
from justzoomin.models.weights import Budget, check_settings, open_weights, read_shapes
from justzoomin.untrusted import printable, read_limited

if TYPE_CHECKING:
    from justzoomin.models.onnx_encoder import OnnxEncoder

FORMAT = "justzoomin-model/1"
"""Value of `format` in config.json. It tells our folders from those of other models with the same file names."""

MAX_CONFIG_BYTES = 4 << 20
_MAX_PROVENANCE_BYTES = 16 << 20
_CANNOT_BE_BUILT = (RuntimeError, ValueError, TypeError, ArithmeticError, LookupError, AttributeError)
"""What torch and our own parts raise for settings that contradict each other."""


Model = TypeVar("Model", bound=nn.Module)


def save_checkpoint(folder: Path, config: ModelConfig, state: Mapping[str, Tensor], grid: ZoomGrid | None,
                    extra: Mapping[str, Any], *, half: bool = False) -> Path:
    """Write a model folder; see `MapModel.save_pretrained`.

    A new folder appears complete or not at all. In an existing folder each file is replaced, `config.json` last; other files
    are not touched.

    Raises:
        ModelError: If the grid does not fit the model, `extra` cannot be written as JSON, or the folder cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    if grid is not None and grid.grid != config.grid:
        raise ModelError(folder, f"the model has {config.actions} actions, but the grid to save with it has {grid.actions}",
                         "Save it with the grid it was trained on.")
    try:
        provenance = json.dumps(dict(extra), indent=2, sort_keys=True, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise ModelError(folder / PROVENANCE_FILE, f"the values to record cannot be written as JSON ({error})",
                         "Pass only text, finite numbers, booleans, lists and dicts.") from error
    settings = {"format": FORMAT, **config.model_dump(mode="json")}
    tensors = {name: (tensor.half() if half and tensor.is_floating_point() else tensor).detach().cpu().contiguous()
               for name, tensor in state.items()}
    try:
        with work_folder(folder, "saving of this model") as temporary:
            save_file(tensors, temporary / WEIGHTS_FILE, metadata={"format": "pt"})
            write_bytes(temporary / CONFIG_FILE, (json.dumps(settings, indent=2) + "\n").encode())
            write_bytes(temporary / PROVENANCE_FILE, provenance.encode())
            if grid is not None:
                save_grid(grid, temporary / GRID_FILE)
            for path in temporary.iterdir():
                path.chmod(0o644)
                _sync(path)
            _sync(temporary)
            _put_in_place(temporary, folder)
    except (OSError, SafetensorError) as error:
        words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ModelError(folder, f"the model cannot be written here ({words})",
                         "Choose a writable folder with enough room for the weights.") from error
    return folder


def load_checkpoint(build: Callable[..., Model], source: str | Path, device: str | torch.device, revision: str | None,
                    runtime: str = "torch") -> tuple[Model, ZoomGrid | None, dict[str, Any], Path]:
    """Open a model folder or hub repository; `build` is `build_model`. `MapModel.from_pretrained` explains the rest.

    Returns:
        The model in evaluation mode, the grid that was saved with it, its provenance, and its folder on this machine.
    """
    target = resolve_device(device) if runtime == "torch" else _cpu_only(device, runtime)
    folder = find_folder(source, revision)
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        if not (folder / name).is_file():
            raise ModelError(folder / name, "this file of the model folder is missing",
                             f"A model folder holds {', '.join(SAVED_FILES)}, written by save_pretrained.")
    config = _read_config(folder / CONFIG_FILE)
    weights = folder / WEIGHTS_FILE
    exported = None if runtime == "torch" else _exported(runtime, folder, config)
    model = _build(build, config, weights, folder / CONFIG_FILE, exported)
    read_weights(model, open_weights(weights, without=("encoder.", "matcher_encoder.") if exported else ()), weights)
    grid = load_grid(folder / GRID_FILE) if (folder / GRID_FILE).is_file() else None
    if grid is not None and grid.grid != config.grid:
        raise ModelError(folder / GRID_FILE, f"its grid is {grid.grid}, but the model's is {config.grid}",
                         "Restore the region.yaml that was saved with the weights.")
    record = folder / PROVENANCE_FILE
    provenance = _read_json(record, _MAX_PROVENANCE_BYTES, _refuse) if record.is_file() else {}
    plan(target).prepare(model.to(target))
    return model.eval(), grid, provenance, folder


def _build(build: Callable[..., Model], config: ModelConfig, weights: Path, where: Path,
           exported: OnnxEncoder | None) -> Model:
    """Return the model of these settings, with unset weights and no larger than the file of its weights allows."""
    shapes = read_shapes(weights)
    check_settings(config, shapes, where)
    try:
        with Budget(shapes, where):
            return build(config, pretrained=False, fresh=False, encoder=exported)
    except _CANNOT_BE_BUILT as error:
        raise ModelError(where, f"no model can be built from these settings ({printable(error) or type(error).__name__})",
                         "Restore the file that was saved with the weights.") from error


def _exported(runtime: str, folder: Path, config: ModelConfig) -> OnnxEncoder:
    from justzoomin.models.onnx_encoder import OnnxEncoder, matcher_file, runtime_file

    path = runtime_file(runtime, folder)
    encoder = OnnxEncoder(path, config)
    if config.matcher is not None and config.matcher.own_encoder:
        encoder.matcher = OnnxEncoder(matcher_file(path), config, "matcher_encoder")
    encoder.check_belongs(folder / CONFIG_FILE, folder / WEIGHTS_FILE)
    return encoder


def _cpu_only(device: str | torch.device, runtime: str) -> torch.device:
    if str(device) not in {"auto", "cpu"}:
        raise ModelError(f"device {str(device)!r}", f"the runtime {runtime!r} works on the CPU only",
                         "Use the device cpu, or the runtime torch.")
    return torch.device("cpu")


def read_weights(model: nn.Module, tensors: dict[str, Tensor], where: Path) -> None:
    """Load tensors into the model and check that none is missing or left over.

    Raises:
        ModelError: If a tensor is missing, unexpected, of the wrong shape or kind, or not finite.
    """
    wanted = model.state_dict()
    found = match_names(tensors, wanted)
    remedy = "Use the config.json that belongs to these weights, or weights that belong to it."
    missing, unexpected = sorted(wanted.keys() - found.keys()), sorted(found.keys() - wanted.keys())
    if missing or unexpected:
        parts = [f"{len(names)} {kind}: {', '.join(names[:8])}{', ...' if len(names) > 8 else ''}"
                 for kind, names in (("missing", missing), ("unexpected", unexpected)) if names]
        raise ModelError(where, f"the tensors do not match the model ({'; '.join(parts)})", remedy)
    for name, tensor in list(found.items()):
        if tensor.shape != wanted[name].shape:
            raise ModelError(where, f"tensor {name} has shape {tuple(tensor.shape)}, but the model needs "
                             f"{tuple(wanted[name].shape)}", remedy)
        if tensor.is_floating_point() != wanted[name].is_floating_point() or tensor.is_complex():
            raise ModelError(where, f"tensor {name} holds {tensor.dtype}, but the model needs {wanted[name].dtype}", remedy)
        found[name] = tensor.to(wanted[name].dtype)
        if tensor.is_floating_point() and not bool(torch.isfinite(found[name]).all()):  # 1e300 was finite before the cast
            raise ModelError(where, f"tensor {name} holds values that are not finite in {found[name].dtype}",
                             "Use another checkpoint: this training diverged, or the file is damaged.")
    model.load_state_dict(found)


def resolve_device(device: str | torch.device) -> torch.device:
    """Return the torch device of a name after checking that it is available; "auto" is the best available one.

    Raises:
        ModelError: If the device is not available.
    """
    if str(device) == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    remedy = 'Use "cpu", "cuda", "cuda:1", "mps" or "auto".'
    try:
        resolved = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ModelError(f"device {device!r}", "torch does not know this device", remedy) from error
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (resolved.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not there.get(resolved.type, False):
        raise ModelError(f"device {device!r}", "torch cannot use this device on this machine", remedy)
    return resolved


def _read_json(path: Path, max_bytes: int, parse_constant: Callable[[str], Any] | None = None) -> dict[str, Any]:
    remedy = "Copy or download the model folder again."
    try:
        content = json.loads(read_limited(path, max_bytes), parse_constant=parse_constant)
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ModelError(path, f"this is not readable JSON ({printable(reason)})", remedy) from error
    if not isinstance(content, dict):
        raise ModelError(path, "this is not a JSON object", remedy)
    return content


def _refuse(constant: str) -> None:
    raise ValueError(f"JSON does not allow {constant}")


def _read_config(path: Path) -> ModelConfig:
    content = _read_json(path, MAX_CONFIG_BYTES)
    if content.pop("format", None) != FORMAT:
        raise ModelError(path, f'this is not the configuration of a justzoomin model: its "format" is not "{FORMAT}"',
                         "Name a folder that save_pretrained wrote. The folder of an encoder alone goes into encoder.source.")
    try:
        config = ModelConfig.model_validate(content)
    except ValidationError as error:
        raise ModelError(path, f"these settings are invalid ({setting_problems(error)})",
                         "Correct or restore the file.") from error
    if config.encoder.architecture is None:
        raise ModelError(path, "encoder.architecture is missing, so the model cannot be built offline",
                         "Restore the file that was saved with the weights.")
    return config


def _put_in_place(temporary: Path, folder: Path) -> None:
    if not folder.exists():
        temporary.rename(folder)
    else:
        unbind(folder)
        written = {path.name for path in temporary.iterdir()}
        if GRID_FILE not in written:
            (folder / GRID_FILE).unlink(missing_ok=True)
        for name in SAVED_FILES:
            if name in written:
                (temporary / name).replace(folder / name)
        _sync(folder)
    _sync(folder.parent)


def _sync(path: Path) -> None:
    """Flush a file, or the entries of a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
