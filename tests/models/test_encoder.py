import pytest
import torch
from pydantic import ValidationError

from justzoomin.errors import ModelError
from justzoomin.models import EncoderConfig, VisionEncoder

VIT_SHAPE = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32,
             "patch_size": 8, "image_size": 16}
ARCHITECTURES = {
    "dinov2": {"model_type": "dinov2", **VIT_SHAPE, "mlp_ratio": 2},
    "dinov2_with_registers": {"model_type": "dinov2_with_registers", **VIT_SHAPE, "num_register_tokens": 2},
    "dinov3_vit": {"model_type": "dinov3_vit", **VIT_SHAPE, "num_register_tokens": 2},
    "vit": {"model_type": "vit", **VIT_SHAPE},
}
CONVNEXT = {"model_type": "convnext", "hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2, "patch_size": 4}


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_vit_layouts_freeze_and_encode_at_any_size(name, pooling):
    encoder = VisionEncoder(EncoderConfig(architecture=ARCHITECTURES[name], pooling=pooling, trainable_blocks=2))
    vectors = encoder(torch.randn(2, 3, 24, 24))  # not the size of the stored positions
    assert vectors.shape == (2, 16)
    assert encoder.width == 16
    vectors.square().sum().backward()
    trained = {n for n, p in encoder.named_parameters() if p.grad is not None}
    assert trained == {n for n, p in encoder.named_parameters() if p.requires_grad}
    blocks = {part for name in trained for part in name.split(".") if part.isdigit()}
    outside = {name.removeprefix("backbone.") for name in trained if not blocks & set(name.split("."))}
    assert blocks == {"1", "2"}
    assert outside in ({"norm.weight", "norm.bias"}, {"layernorm.weight", "layernorm.bias"})


@pytest.mark.parametrize(("architecture", "pooling"), [
    (ARCHITECTURES["dinov2"], "cls"), (ARCHITECTURES["vit"], "cls"), (CONVNEXT, "pooler"),
])
def test_with_everything_trainable_nothing_trainable_is_without_gradient(architecture, pooling):
    encoder = VisionEncoder(EncoderConfig(architecture=architecture, pooling=pooling))
    encoder(torch.randn(2, 3, 16, 16)).square().sum().backward()
    assert [n for n, p in encoder.named_parameters() if p.requires_grad and p.grad is None] == []


def test_zero_trainable_blocks_freeze_all_and_keep_no_graph():
    encoder = VisionEncoder(EncoderConfig(architecture=ARCHITECTURES["dinov2"], trainable_blocks=0))
    assert not any(p.requires_grad for p in encoder.parameters())
    assert not encoder(torch.randn(1, 3, 16, 16)).requires_grad


def test_mean_pooling_of_a_feature_map_and_of_patches_only():
    encoder = VisionEncoder(EncoderConfig(architecture=CONVNEXT, pooling="mean"))
    images = torch.randn(2, 3, 16, 16)
    hidden = encoder.backbone(pixel_values=images).last_hidden_state
    torch.testing.assert_close(encoder(images), hidden.flatten(2).mean(-1))
    encoder = VisionEncoder(EncoderConfig(architecture=ARCHITECTURES["dinov2_with_registers"], pooling="mean")).eval()
    hidden = encoder.backbone(pixel_values=images).last_hidden_state
    torch.testing.assert_close(encoder(images), hidden[:, 3:].mean(1))


def test_what_cannot_be_is_told():
    with pytest.raises(ModelError, match="4 blocks are to be trained, but it has only 3"):
        VisionEncoder(EncoderConfig(architecture=ARCHITECTURES["dinov2"], trainable_blocks=4))
    with pytest.raises(ModelError, match="its blocks are not in any known place"):
        VisionEncoder(EncoderConfig(architecture=CONVNEXT, pooling="pooler", trainable_blocks=1))
    with pytest.raises(ModelError, match="no class token"):
        VisionEncoder(EncoderConfig(architecture=CONVNEXT, pooling="cls"))
    with pytest.raises(ValidationError, match="model_type 'nosuchmodel' is not supported; choose one of beit, "):
        EncoderConfig(architecture={"model_type": "nosuchmodel"})
    with pytest.raises(ValidationError, match="a source"):
        EncoderConfig()
    with pytest.raises(ValidationError, match="model_type"):
        EncoderConfig(architecture={"hidden_size": 3})


def test_a_source_that_is_not_there_names_itself(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="empty: the encoder cannot be opened from this folder"):
        VisionEncoder(EncoderConfig(source=str(tmp_path / "empty")))


def test_settings_that_could_load_foreign_code_are_left_out():
    hostile = {**ARCHITECTURES["dinov2"], "auto_map": {"AutoModel": "evil--code.Model"},
               "_attn_implementation": "someone/kernels", "attn_implementation": "someone/kernels"}
    encoder = VisionEncoder(EncoderConfig(architecture=hostile))
    assert not {"auto_map", "attn_implementation", "_attn_implementation"} & set(encoder.config.architecture)
    assert encoder(torch.randn(1, 3, 16, 16)).shape == (1, 16)
