"""Import of the published code's checkpoints (.pth files) as model folders."""

from __future__ import annotations

import json
import math
import pickle
import re
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from justzoomin.errors import ModelError
from justzoomin.geometry import ZoomGrid
from justzoomin.models.checkpoints import MAX_CONFIG_BYTES, read_weights
from justzoomin.models.config import DecoderConfig, EncoderConfig, ModelConfig, model_preset, setting_problems
from justzoomin.models.decoder import feed_forward_width, rotary_frequencies
from justzoomin.models.onnx_encoder import file_digest
from justzoomin.models.torch_file import check_torch_file
from justzoomin.models.weights import Budget, check_settings
from justzoomin.models.zoom_model import ZoomModel
from justzoomin.untrusted import printable, read_limited

_WRAPPERS = frozenset({"module", "_orig_mod"})  # what DistributedDataParallel and torch.compile put into names
_BACKBONE = "encoder.backbone."
_DINOV2_HEAD_WIDTH = 64  # of every published DINOv2: 384/6, 768/12, 1024/16, 1536/24
_DEFAULT_HEADS = 8  # of the published decoder, for files without rotary frequencies, which would tell
_ROPE_THETA = 10_000.0


def import_checkpoint(pth: Path, dest: Path, encoder_config: Path | None = None, *, grid: ZoomGrid | None = None,
                      image_pixels: int = 384) -> Path:
    """Make a model folder from a checkpoint of the published code.

    Sizes are read from the tensors. Settings that weights do not show are assumed as published: 384 px, an encoder with heads
    of width 64, dropout 0.1, photos fully decoded before a plain bilinear resize.

    Args:
        pth: A torch file with `model_state_dict`, or with the dict of tensors alone. It is opened with `weights_only=True`.
        dest: The model folder to write.
        encoder_config: The encoder's transformers config.json (or its folder), needed if it is not a DINOv2 of the usual
            shape.
        grid: The grid it was trained on, to be recorded; None if unknown.
        image_pixels: Side of the images it was trained on.

    Returns:
        The path of the model folder.

    Raises:
        ModelError: If the file is not such a checkpoint or holds more than tensors, or if a tensor is missing, unexpected or
            of a size that contradicts the others.
    """
    pth, dest = Path(pth), Path(dest)
    tensors = _strip_wrappers(_load_tensors(pth), pth)
    frequencies = tensors.pop("decoder.freqs", None)
    try:
        config = ModelConfig(
            encoder=EncoderConfig(architecture=_encoder_architecture(tensors, pth, encoder_config), pooling="cls"),
            decoder=_decoder_config(tensors, frequencies, pth),
            grid=_grid_size(_tensor(tensors, "decoder.action_embed.weight", 2, pth), pth),
            image_pixels=image_pixels,
            photo_decode="full",
        )
    except ValidationError as error:
        raise ModelError(pth, f"its sizes do not form a valid model ({setting_problems(error)})",
                         "Only checkpoints of the published code can be imported.") from error
    blocks = config.encoder.architecture["num_hidden_layers"] if config.encoder.architecture else 0
    config = config.model_copy(update={
        "encoder": config.encoder.model_copy(update={"trainable_blocks": min(4, int(blocks))}),
        "preset": "paper" if _is_paper(config) else None,
    })
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    check_settings(config, shapes, pth)
    with Budget(shapes, pth):
        model = ZoomModel(config, pretrained=False)
    read_weights(model, tensors, pth)
    provenance = {
        "imported_from": pth.name,
        "imported_sha256": file_digest(pth),
        "photo_resize": "bilinear without antialiasing, after full decoding",
    }
    return model.save_pretrained(dest, grid, provenance)


def _load_tensors(pth: Path) -> dict[str, Tensor]:
    if not pth.is_file():
        raise ModelError(pth, "there is no such file", "Name the .pth file of a checkpoint.")
    try:
        check_torch_file(pth)
        content = torch.load(pth, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(pth, "the file was not opened: it holds more than tensors and plain values, or is not a torch file "
                         f"({str(error).splitlines()[0][:160]})",
                         "Ask its author to save the model_state_dict alone. A pickle that can run code is never opened.",
                         ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, AttributeError) as error:
        raise ModelError(pth, f"this torch file cannot be read ({(str(error).splitlines() or [''])[0][:160]})",
                         "It is truncated or of another format. Copy or download it again.") from error
    if isinstance(content, dict) and "model_state_dict" in content:
        content = content["model_state_dict"]
    if not isinstance(content, dict) or not content:
        raise ModelError(pth, "this file holds no dict of tensors", "It must hold model_state_dict or be a state dict.")
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise ModelError(pth, f"entry {printable(name, 100)} is a {type(value).__name__}, not a tensor",
                             "It must hold model_state_dict or be a state dict.")
        if value.layout != torch.strided or value.device.type != "cpu" or value.is_quantized or 0 in _broadcast(value):
            raise ModelError(pth, f"tensor {printable(name, 100)} is not an ordinary tensor that stores each of its numbers",
                             "Save the checkpoint again from plain tensors.")
    return dict(content)


def _broadcast(tensor: Tensor) -> list[int]:
    """Return the strides of dimensions longer than 1: a stride of 0 means that one stored number is repeated."""
    return [step for step, size in zip(tensor.stride(), tensor.shape, strict=True) if size > 1]


def _strip_wrappers(tensors: dict[str, Tensor], pth: Path) -> dict[str, Tensor]:
    stripped: dict[str, Tensor] = {}
    for name, value in tensors.items():
        bare = ".".join(part for part in name.split(".") if part not in _WRAPPERS)
        if bare in stripped:
            raise ModelError(pth, f"tensor {bare} occurs twice, once as {name}", "Save the checkpoint again.")
        stripped[bare] = value
    return stripped


def _tensor(tensors: dict[str, Tensor], name: str, dimensions: int, pth: Path) -> Tensor:
    if name not in tensors:
        raise ModelError(pth, f"tensor {name} is missing (the file has {len(tensors)} tensors)",
                         "Only checkpoints of the published code can be imported.")
    if tensors[name].ndim != dimensions or not tensors[name].numel():
        raise ModelError(pth, f"tensor {name} has shape {tuple(tensors[name].shape)}, not {dimensions} dimensions",
                         "Only checkpoints of the published code can be imported.")
    return tensors[name]


def _count_blocks(tensors: dict[str, Tensor], prefix: str, pth: Path) -> int:
    found = {int(match[1]) for name in tensors if (match := re.match(re.escape(prefix) + r"(\d{1,6})\.", name))}
    if not found:
        raise ModelError(pth, f"there is no tensor {prefix}0...", "Only checkpoints of the published code can be imported. "
                         "Give the encoder's config.json if it is not a DINOv2.")
    if gaps := set(range(max(found))) - found:
        raise ModelError(pth, f"block {prefix}{min(gaps)} is missing", "The checkpoint is incomplete. Save it again.")
    return len(found)


def _square_root(number: int) -> int | None:
    root = math.isqrt(number)
    return root if root * root == number else None


def _grid_size(action_embed: Tensor, pth: Path) -> int:
    rows = action_embed.shape[0]
    root = _square_root(rows)
    if root is None:
        raise ModelError(pth, f"decoder.action_embed.weight has {rows} rows, which is not a square number",
                         "Actions are the cells of a square grid, so there must be 4, 9, 16 ... or 64 of them.")
    return root


def _decoder_config(tensors: dict[str, Tensor], frequencies: Tensor | None, pth: Path) -> DecoderConfig:
    width = _tensor(tensors, "decoder.action_embed.weight", 2, pth).shape[1]
    inner = _tensor(tensors, "decoder.blocks.0.ffn.w1.weight", 2, pth).shape[0]
    multiple_of = next((size for size in (256, inner) if feed_forward_width(width, size) == inner), None)
    if multiple_of is None:
        raise ModelError(pth, f"decoder.blocks.0.ffn.w1.weight has {inner} rows, too few for a width of {width}",
                         "Only checkpoints of the published code can be imported.")
    heads = _DEFAULT_HEADS
    if frequencies is not None:
        head_width = 2 * frequencies.numel()
        if not head_width or width % head_width:
            what = f"decoder.freqs has {frequencies.numel()} values, which do not fit a decoder of width {width}"
            raise ModelError(pth, what, "Only checkpoints of the published code can be imported.")
        heads = width // head_width
        expected = rotary_frequencies(head_width, _ROPE_THETA)
        # The file may hold them in half precision. 1 % is more than its rounding, and far less than the gap to another base.
        if not torch.allclose(frequencies.float().flatten(), expected, rtol=1e-2, atol=1e-7):
            raise ModelError(pth, f"decoder.freqs are not the rotary frequencies of base {_ROPE_THETA:g}",
                             "This checkpoint was trained with different positions from the published code's.")
    return DecoderConfig(blocks=_count_blocks(tensors, "decoder.blocks.", pth), heads=heads,
                         ffn_multiple_of=multiple_of, dropout=0.1, rope_theta=_ROPE_THETA)


def _encoder_architecture(tensors: dict[str, Tensor], pth: Path, encoder_config: Path | None) -> dict[str, Any]:
    """Return the transformers configuration of the encoder, from a file or from the tensors of a DINOv2."""
    if encoder_config is not None:
        return _read_architecture(Path(encoder_config))
    patch = _tensor(tensors, f"{_BACKBONE}embeddings.patch_embeddings.projection.weight", 4, pth)
    width, channels, patch_pixels = patch.shape[0], patch.shape[1], patch.shape[2]
    positions = _tensor(tensors, f"{_BACKBONE}embeddings.position_embeddings", 3, pth)
    side = _square_root(positions.shape[1] - 1)
    if side is None:
        raise ModelError(pth, f"{_BACKBONE}embeddings.position_embeddings has {positions.shape[1]} positions, "
                         "which are not a class token and a square of patches", "Give the encoder's config.json.")
    if width % _DINOV2_HEAD_WIDTH:
        raise ModelError(pth, f"the encoder's width {width} is not a multiple of {_DINOV2_HEAD_WIDTH}, so its weights do not "
                         "show its number of heads", "Give the encoder's config.json.")
    inner = _tensor(tensors, f"{_BACKBONE}encoder.layer.0.mlp.fc1.weight", 2, pth).shape[0]
    architecture = {
        "model_type": "dinov2",
        "hidden_size": width,
        "num_hidden_layers": _count_blocks(tensors, f"{_BACKBONE}encoder.layer.", pth),
        "num_attention_heads": width // _DINOV2_HEAD_WIDTH,
        "mlp_ratio": inner // width,
        "num_channels": channels,
        "patch_size": patch_pixels,
        "image_size": side * patch_pixels,
        "layer_norm_eps": 1e-6,
    }
    if f"{_BACKBONE}embeddings.register_tokens" in tensors:
        registers = _tensor(tensors, f"{_BACKBONE}embeddings.register_tokens", 3, pth)
        architecture |= {"model_type": "dinov2_with_registers", "num_register_tokens": registers.shape[1]}
    return architecture


def _read_architecture(path: Path) -> dict[str, Any]:
    path = path / "config.json" if path.is_dir() else path
    try:
        content = json.loads(read_limited(path, MAX_CONFIG_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(path, f"the encoder's configuration cannot be read ({printable(error)})",
                         "Give the config.json from the encoder's hub repository.") from error
    if not isinstance(content, dict) or not isinstance(content.get("model_type"), str):
        raise ModelError(path, "the encoder's configuration has no model_type",
                         "Give the config.json from the encoder's hub repository.")
    return content


def _is_paper(config: ModelConfig) -> bool:
    architecture = config.encoder.architecture or {}
    shape = (architecture.get("model_type"), architecture.get("hidden_size"), architecture.get("num_hidden_layers"))
    paper = model_preset("paper")
    return shape == ("dinov2", 768, 12) and config.decoder == paper.decoder and (
        config.grid, config.image_pixels) == (paper.grid, paper.image_pixels)
