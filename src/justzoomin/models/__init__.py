"""Encoder, decoder, their settings and checkpoints: tensors in, tensors out."""

from justzoomin.models.checkpoints import resolve_device
from justzoomin.models.compute import Compute, plan
from justzoomin.models.config import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    PRESETS,
    DecoderConfig,
    EncoderConfig,
    MatcherConfig,
    ModelConfig,
    model_preset,
)
from justzoomin.models.decoder import Decoder, DecoderCache
from justzoomin.models.encoder import VisionEncoder
from justzoomin.models.importer import import_checkpoint
from justzoomin.models.onnx_encoder import ONNX_FILE, OnnxEncoder
from justzoomin.models.onnx_export import Export, export_onnx
from justzoomin.models.ray_matcher import Ground, RayMatcher
from justzoomin.models.zoom_model import ZoomModel

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "ONNX_FILE",
    "PRESETS",
    "Compute",
    "Decoder",
    "DecoderCache",
    "DecoderConfig",
    "EncoderConfig",
    "Export",
    "Ground",
    "MatcherConfig",
    "ModelConfig",
    "OnnxEncoder",
    "RayMatcher",
    "VisionEncoder",
    "ZoomModel",
    "export_onnx",
    "import_checkpoint",
    "model_preset",
    "plan",
    "resolve_device",
]
