"""Export of a model's encoder to ONNX, checked against torch before the file gets its name."""

from __future__ import annotations

import contextlib
import logging
import os
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from justzoomin.errors import MissingExtraError, ModelError
from justzoomin.files import sync_folder, work_folder
from justzoomin.models.checkpoints import CONFIG_FILE, WEIGHTS_FILE, find_folder, load_checkpoint
from justzoomin.models.map_model import MapModel
from justzoomin.models.onnx_encoder import INPUT, ONNX_FILE, OUTPUT, OnnxEncoder, belonging_header
from justzoomin.models.onnx_file import HEADER_KEY, MAX_BYTES

TOLERANCE = 1e-3
"""Largest difference of a vector from torch's that is accepted: length of the difference over length of the vector."""


@dataclass(frozen=True)
class Export:
    """An exported encoder.

    Args:
        path: The file.
        bytes: Its size.
        difference: Largest difference found: length of the difference over length of torch's vector.
        seconds: Time it took.
        fingerprint: Fingerprint of the model it belongs to.
    """

    path: Path
    bytes: int
    difference: float
    seconds: float
    fingerprint: str


def export_onnx(source: str | Path, out: Path | None = None, revision: str | None = None) -> Export:
    """Write the encoder of a model as an ONNX file that `runtime="onnx"` uses in its place.

    Batches of any size, images of the model's size, float32. The file belongs to this model alone. It gets its name only
    after its vectors were compared with torch's, on noise and on picture-like images, alone and in batches.

    Args:
        source: Model folder or hub id.
        out: File (`.onnx`) or folder to write into; the model's folder if None.
        revision: Branch, tag or commit of the hub's repository.

    Raises:
        ModelError: If the model cannot be opened or exported, its vectors differ, or the file cannot be written.
        MissingExtraError: If a package that the export needs is not installed.
    """
    for package in ("onnx", "onnxscript", "onnxruntime"):
        if find_spec(package) is None:
            raise MissingExtraError(package, "onnx")
    started = time.perf_counter()
    folder = find_folder(source, revision)
    if out is None and not Path(source).is_dir():
        raise ModelError(str(source), "a model of the hub has no folder to write into", "Name a file or folder with --out.")
    path = _target(folder, out)
    model = load_checkpoint(folder, "cpu", None)
    if model.config.matcher is not None:
        raise ModelError(str(source), "its ray matcher reads feature maps, and an exported encoder gives vectors",
                         "Use the runtime torch, or a model of the preset small.")
    size = sum(tensor.numel() * tensor.element_size() for tensor in model.encoder.state_dict().values())
    if size > MAX_BYTES - (1 << 24):
        raise ModelError(str(source), f"its encoder has {size} bytes of weights", f"An ONNX file holds up to {MAX_BYTES}.")
    header = belonging_header(model.fingerprint(), folder / CONFIG_FILE, folder / WEIGHTS_FILE, model.config.image_pixels,
                              model.encoder.width)
    try:
        with work_folder(path, "export of this model") as place:
            temporary = place / ONNX_FILE
            _write(model, header.text(), temporary)
            difference = _compare(model, OnnxEncoder(temporary, model.config), path)
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            size = temporary.stat().st_size
            temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise ModelError(path, f"it cannot be written ({error.strerror or error})",
                         "Choose a folder that can be written, with room for the encoder.") from error
    return Export(path, size, difference, time.perf_counter() - started, header.model)


def _target(folder: Path, out: Path | None) -> Path:
    if out is None:
        return folder / ONNX_FILE
    if out.suffix.lower() != ".onnx" or out.is_dir():
        return out / ONNX_FILE
    return out


def _write(model: MapModel, header: str, path: Path) -> None:
    pixels = model.config.image_pixels
    try:
        with _quiet(), torch.no_grad():
            program: Any = torch.onnx.export(
                model.encoder, (torch.zeros(2, 3, pixels, pixels),), dynamo=True, external_data=False, verbose=False,
                input_names=[INPUT], output_names=[OUTPUT], dynamic_shapes=({0: "batch"},))
            _strip(program.model)
            program.model.metadata_props[HEADER_KEY] = header
            program.save(str(path), external_data=False)
    except OSError:
        raise
    except Exception as error:  # the exporter raises many kinds; each becomes one with a remedy
        logging.getLogger(__name__).debug("export to ONNX failed", exc_info=error)
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise ModelError("encoder", f"torch cannot export it to ONNX ({reason})",
                         "Use the runtime torch, or an encoder such as convnext or dinov2.") from error


def _strip(ir: Any) -> None:
    """Take out what the exporter notes of its own making: lines of code and paths of this machine."""
    for holder in (ir, ir.graph, *ir.graph.inputs, *ir.graph.initializers.values()):
        holder.metadata_props.clear()
        holder.doc_string = None
    for node in ir.graph:
        node.metadata_props.clear()
        node.doc_string = None
        for value in node.outputs:
            value.metadata_props.clear()
            value.doc_string = None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's remarks about itself from the user."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


@torch.inference_mode()
def _compare(model: MapModel, exported: OnnxEncoder, path: Path) -> float:
    """Largest difference from torch's vectors; refused if too large."""
    worst = 0.0
    for images in _probes(model.config.image_pixels):
        wanted = model.encode_views(images)
        found = exported(images)
        difference = ((found - wanted).norm(dim=1) / wanted.norm(dim=1).clamp_min(1e-12)).max().item()
        worst = max(worst, difference)
        if not difference <= TOLERANCE:  # not a number is no agreement either
            raise ModelError(path, f"the exported encoder's vectors differ from torch's by {difference:.2g} of their length; "
                             f"up to {TOLERANCE:g} is accepted, so nothing was written",
                             "Use the runtime torch, or other versions of torch and onnxruntime.")
    return worst


def _probes(pixels: int) -> Iterator[Tensor]:
    """Images to compare on, normalized as photos are: noise, alone and three of them; smooth pictures, flat black and white."""
    generator = torch.Generator().manual_seed(0)
    yield torch.randn(1, 3, pixels, pixels, generator=generator)
    yield torch.randn(3, 3, pixels, pixels, generator=generator)
    coarse = torch.rand(2, 3, 7, 7, generator=generator)
    smooth = functional.interpolate(coarse, (pixels, pixels), mode="bicubic", align_corners=False).clamp(0, 1)
    flat = torch.stack([torch.zeros(3, pixels, pixels), torch.ones(3, pixels, pixels)])
    yield (torch.cat([smooth, flat]) - 0.45) / 0.225
