"""Export of a model's encoders to ONNX. The files get their names only after a comparison with torch."""

from __future__ import annotations

import contextlib
import logging
import os
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from justzoomin.errors import MissingExtraError, ModelError
from justzoomin.files import sync_folder, work_folder
from justzoomin.models.config import ModelConfig
from justzoomin.models.encoder import VisionEncoder
from justzoomin.models.folders import CONFIG_FILE, ONNX_FILE, WEIGHTS_FILE, find_folder, unbind
from justzoomin.models.map_model import open_model
from justzoomin.models.onnx_encoder import INPUT, MAPS, OUTPUT, OnnxEncoder, file_digest, gives_maps, matcher_file
from justzoomin.models.onnx_file import HEADER_KEY, MAX_BYTES, ExportHeader, Part

TOLERANCE = 1e-3
"""Largest accepted difference from torch: the length of a difference of vectors or feature maps over their length."""

_REMEDY = "Use the runtime torch, or an encoder such as convnext or dinov2."


@dataclass(frozen=True)
class Export:
    """The exported encoder of a model, or its two exported encoders.

    Args:
        path: The file that is used as a runtime.
        matcher_path: The file beside it with the ray matcher's separate encoder; None if there is none.
        bytes: Total size of the files.
        difference: Largest difference found: length of the difference over length of torch's vector or feature map.
        seconds: Duration of the export in seconds.
        fingerprint: Fingerprint of the model that the files belong to.
    """

    path: Path
    matcher_path: Path | None
    bytes: int
    difference: float
    seconds: float
    fingerprint: str


def export_onnx(source: str | Path, out: Path | None = None, revision: str | None = None) -> Export:
    """Write the encoder of a model as an ONNX file, to be used with `runtime="onnx"`.

    The file is for batches of any size, images of the model's size and float32, and it belongs to this model alone. It gets its
    name only after its vectors were compared with torch's, on noise and on picture-like images, alone and in batches.
    The encoder that a ray matcher uses gives feature maps too, of images of any size. If that is a separate encoder, it is
    written to a second file beside the first.

    Args:
        source: Model folder or hub id.
        out: File (`.onnx`) or folder to write; None for the model's folder.
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
        raise ModelError(str(source), "a model on the hub has no folder to write into", "Name a file or folder with --out.")
    path = _target(folder, out)
    model = open_model(folder)
    whole = ExportHeader(model.fingerprint(), file_digest(folder / CONFIG_FILE), file_digest(folder / WEIGHTS_FILE),
                         model.config.image_pixels, model.encoder.width)
    encoders: dict[Part, tuple[VisionEncoder, Path]] = {"encoder": (model.torch_encoder, path)}
    if isinstance(model.matcher_encoder, VisionEncoder):
        encoders["matcher_encoder"] = model.matcher_encoder, matcher_file(path)
    for part, (encoder, _) in encoders.items():
        size = sum(tensor.numel() * tensor.element_size() for tensor in encoder.state_dict().values())
        if size > MAX_BYTES - (1 << 24):
            raise ModelError(str(source), f"its {part} has {size} bytes of weights, but an ONNX file holds at most {MAX_BYTES}",
                             "Use the runtime torch.")
    try:
        with work_folder(path, "export of this model") as place:
            difference, size = 0.0, 0
            for part, (encoder, _) in encoders.items():
                maps = encoder.stage_widths if gives_maps(model.config, part) else ()
                temporary = place / f"{part}.onnx"
                _write(encoder, replace(whole, part=part, channels=maps), temporary)
                difference = max(difference, _compare(encoder, temporary, model.config, part, path))
                with temporary.open("rb") as file:
                    os.fsync(file.fileno())
                size += temporary.stat().st_size
            if path.parent.resolve() == folder.resolve():
                unbind(folder)
            for part, (_, target) in reversed(encoders.items()):  # the one that is looked for first appears last
                (place / f"{part}.onnx").replace(target)
        sync_folder(path.parent)
    except OSError as error:
        raise ModelError(path, f"it cannot be written ({error.strerror or error})",
                         "Choose a folder that can be written, with room for the encoder.") from error
    matcher_path = encoders["matcher_encoder"][1] if "matcher_encoder" in encoders else None
    return Export(path, matcher_path, size, difference, time.perf_counter() - started, whole.model)


def _target(folder: Path, out: Path | None) -> Path:
    if out is None:
        return folder / ONNX_FILE
    if out.suffix.lower() != ".onnx" or out.is_dir():
        return out / ONNX_FILE
    return out


class _Stages(nn.Module):
    """An encoder whose outputs are its vectors, then its feature maps."""

    def __init__(self, encoder: VisionEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        vectors, maps = self.encoder.stages(images)
        return (vectors, *maps)


def _write(encoder: VisionEncoder, header: ExportHeader, path: Path) -> None:
    maps, pixels, stride = len(header.channels), header.pixels, encoder.stride
    # Height and width of the example differ, so that no part of the graph assumes square images.
    example = torch.zeros(2, 3, 16 * stride, 24 * stride) if maps else torch.zeros(2, 3, pixels, pixels)
    try:
        with _quiet(), torch.no_grad():
            program: Any = torch.onnx.export(
                _Stages(encoder) if maps else encoder, (example,), dynamo=True, external_data=False, verbose=False,
                input_names=[INPUT], output_names=[OUTPUT, *(MAPS.format(k) for k in range(maps))],
                dynamic_shapes=({0: "batch", 2: "height", 3: "width"} if maps else {0: "batch"},))
            _strip(program.model)
            program.model.metadata_props[HEADER_KEY] = header.text()
            program.save(str(path), external_data=False)
    except OSError:
        raise
    except Exception as error:  # the exporter raises many kinds; each becomes an error with a remedy
        logging.getLogger(__name__).debug("export to ONNX failed", exc_info=error)
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise ModelError(header.part, f"torch cannot export it to ONNX ({reason})", _REMEDY) from error


def _strip(ir: Any) -> None:
    """Remove the exporter's notes: lines of code and paths of this machine."""
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
    """Hide the exporter's messages from the user."""
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
def _compare(encoder: VisionEncoder, temporary: Path, config: ModelConfig, part: Part, path: Path) -> float:
    """Return the largest difference from torch's vectors and feature maps; raise an error if it is too large."""
    worst, exported = 0.0, OnnxEncoder(temporary, config, part)
    sizes = [config.image_pixels]
    if exported.stage_widths and config.matcher is not None:
        sizes.append(config.matcher.window_pixels)
    for images in (images for pixels in sizes for images in _probes(pixels)):
        try:
            found, maps = exported.stages(images)
        except ModelError as error:
            raise ModelError(part, f"the exported file fails on images of {images.shape[-1]} px ({error.what}), "
                             "so nothing was written", _REMEDY) from error
        wanted, wanted_maps = encoder.stages(images) if maps else (encoder(images), [])
        for ours, torchs in zip((found, *maps), (wanted, *wanted_maps), strict=True):
            lengths = torchs.flatten(1).norm(dim=1).clamp_min(1e-12)
            difference = ((ours - torchs).flatten(1).norm(dim=1) / lengths).max().item()
            worst = max(worst, difference)
            if not difference <= TOLERANCE:  # this refuses NaN too
                raise ModelError(path, f"the outputs of the exported {part} differ from torch's by {difference:.2g} of their "
                                 f"length, more than the accepted {TOLERANCE:g}, so nothing was written",
                                 "Use the runtime torch, or other versions of torch and onnxruntime.")
    return worst


def _probes(pixels: int) -> Iterator[Tensor]:
    """Yield images for the comparison, normalized like photos: one and three of noise, then smooth, black and white ones."""
    generator = torch.Generator().manual_seed(0)
    yield torch.randn(1, 3, pixels, pixels, generator=generator)
    yield torch.randn(3, 3, pixels, pixels, generator=generator)
    coarse = torch.rand(2, 3, 7, 7, generator=generator)
    smooth = functional.interpolate(coarse, (pixels, pixels), mode="bicubic", align_corners=False).clamp(0, 1)
    flat = torch.stack([torch.zeros(3, pixels, pixels), torch.ones(3, pixels, pixels)])
    yield (torch.cat([smooth, flat]) - 0.45) / 0.225
