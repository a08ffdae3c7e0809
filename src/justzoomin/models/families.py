"""The families of models by name."""

from __future__ import annotations

from pathlib import Path

import torch

from justzoomin.models.classifier import CellClassifier
from justzoomin.models.config import ModelConfig
from justzoomin.models.hierarchical import HierarchicalRetriever
from justzoomin.models.map_model import MapModel
from justzoomin.models.onnx_encoder import OnnxEncoder
from justzoomin.models.retriever import DualEncoder
from justzoomin.models.zoom_model import ZoomModel

FAMILIES: dict[str, type[MapModel]] = {c.family: c for c in (ZoomModel, DualEncoder, HierarchicalRetriever, CellClassifier)}


def build_model(config: ModelConfig, *, pretrained: bool = True, seed: int = 0, fresh: bool = True,
                encoder: OnnxEncoder | None = None) -> MapModel:
    """A model of the family that the settings name; see `MapModel` for the arguments."""
    return FAMILIES[config.family](config, pretrained=pretrained, seed=seed, fresh=fresh, encoder=encoder)


def open_model(folder_or_hub_id: str | Path, device: str | torch.device = "cpu", revision: str | None = None,
               runtime: str = "torch") -> MapModel:
    """Open a model of any family; see `MapModel.from_pretrained`."""
    return MapModel.from_pretrained(folder_or_hub_id, device, revision, runtime)
