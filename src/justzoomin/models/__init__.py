"""Encoder, decoder, their settings and checkpoints: tensors in, tensors out."""

from justzoomin.models.checkpoints import resolve_device
from justzoomin.models.classifier import CellClassifier
from justzoomin.models.compute import Compute, plan
from justzoomin.models.config import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    PRESETS,
    DecoderConfig,
    EncoderConfig,
    Family,
    MatcherConfig,
    ModelConfig,
    RetrieverConfig,
    model_preset,
)
from justzoomin.models.decoder import Decoder, DecoderCache
from justzoomin.models.encoder import VisionEncoder
from justzoomin.models.families import build_model, open_model
from justzoomin.models.hierarchical import HierarchicalRetriever
from justzoomin.models.importer import import_checkpoint
from justzoomin.models.map_model import MapModel
from justzoomin.models.onnx_encoder import ONNX_FILE, OnnxEncoder
from justzoomin.models.onnx_export import Export, export_onnx
from justzoomin.models.ray_matcher import Ground, RayMatcher
from justzoomin.models.retriever import DualEncoder
from justzoomin.models.torch_file import check_torch_file
from justzoomin.models.zoom_model import ZoomModel, with_matcher

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "ONNX_FILE",
    "PRESETS",
    "CellClassifier",
    "Compute",
    "Decoder",
    "DecoderCache",
    "DecoderConfig",
    "DualEncoder",
    "EncoderConfig",
    "Export",
    "Family",
    "Ground",
    "HierarchicalRetriever",
    "MapModel",
    "MatcherConfig",
    "ModelConfig",
    "OnnxEncoder",
    "RayMatcher",
    "RetrieverConfig",
    "VisionEncoder",
    "ZoomModel",
    "build_model",
    "check_torch_file",
    "export_onnx",
    "import_checkpoint",
    "model_preset",
    "open_model",
    "plan",
    "resolve_device",
    "with_matcher",
]
