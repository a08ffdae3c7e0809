"""Tiny models, built from seeds."""

import pytest
import torch

from justzoomin.models import DecoderConfig, EncoderConfig, ModelConfig, ZoomModel

TINY_DINOV2 = {
    "model_type": "dinov2", "hidden_size": 32, "num_hidden_layers": 6, "num_attention_heads": 2, "mlp_ratio": 2,
    "patch_size": 8, "image_size": 32,
}
TINY_CONVNEXT = {
    "model_type": "convnext", "hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2, "patch_size": 4,
    "layer_scale_init_value": 0.0,
}


@pytest.fixture
def tiny_config() -> ModelConfig:
    return ModelConfig(
        image_pixels=16,
        encoder=EncoderConfig(architecture=TINY_CONVNEXT, pooling="pooler"),
        decoder=DecoderConfig(blocks=2, heads=2, ffn_multiple_of=16),
    )


@pytest.fixture
def tiny_model(tiny_config) -> ZoomModel:
    return ZoomModel(tiny_config, seed=3).eval()


@pytest.fixture
def tiny_dinov2_folder(tmp_path):
    """An encoder's folder as the hub would give it."""
    from transformers import AutoConfig, AutoModel

    options = dict(TINY_DINOV2)
    with torch.random.fork_rng():
        torch.manual_seed(11)
        encoder = AutoModel.from_config(AutoConfig.for_model(options.pop("model_type"), **options))
        for parameter in encoder.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    folder = tmp_path / "tiny-dinov2"
    encoder.save_pretrained(folder)
    return folder


@pytest.fixture
def batch():
    """Photos, distinct views, their indices and actions of three paths of four steps, for `tiny_config`."""
    generator = torch.Generator().manual_seed(5)
    photos = torch.randn(3, 2, 3, 16, 16, generator=generator)
    views = torch.randn(5, 3, 16, 16, generator=generator)
    view_index = torch.tensor([[0, 1, 2, 3], [0, 1, 2, 4], [0, 1, 4, 4]])
    actions = torch.randint(0, 16, (3, 4), generator=generator)
    return photos, views, view_index, actions
