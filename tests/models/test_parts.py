"""The encoder in two parts says what the whole encoder says, and learns what it learns."""

import pytest
import torch
from torch import nn

from justzoomin.errors import ModelError
from justzoomin.models import EncoderConfig, VisionEncoder
from justzoomin.models.parts import find_parts

SHAPE = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 32, "patch_size": 8,
         "image_size": 16}
ARCHITECTURES = {
    "dinov2": {"model_type": "dinov2", **SHAPE, "mlp_ratio": 2, "layerscale_value": 0.7},
    "dinov2 swiglu": {"model_type": "dinov2", **SHAPE, "mlp_ratio": 2, "use_swiglu_ffn": True},
    "dinov2_with_registers": {"model_type": "dinov2_with_registers", **SHAPE, "num_register_tokens": 2},
    "dinov3_vit": {"model_type": "dinov3_vit", **SHAPE, "num_register_tokens": 2},
    "vit": {"model_type": "vit", **SHAPE},
}
NOISE = {"hidden_dropout_prob": 0.5, "attention_probs_dropout_prob": 0.5, "drop_path_rate": 0.5, "pos_embed_jitter": 2.0,
         "attention_dropout": 0.5}
CONVNEXT = {"model_type": "convnext", "hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2, "patch_size": 4}
SIZE = (24, 32)  # not the size of the stored positions, and not square


def built(name, trained, pooling="cls", **more):
    with torch.random.fork_rng():
        torch.manual_seed(7)
        encoder = VisionEncoder(EncoderConfig(architecture={**ARCHITECTURES[name], **more}, pooling=pooling,
                                              trainable_blocks=trained))
        for parameter in encoder.parameters():
            nn.init.normal_(parameter, std=0.3)
    return encoder


def images(count=3):
    return torch.randn(count, 3, *SIZE, generator=torch.Generator().manual_seed(1))


def whole(encoder, pictures):
    """Vectors straight from transformers' own forward pass."""
    options = {"interpolate_pos_encoding": True} if encoder.config.architecture["model_type"] == "vit" else {}
    output = encoder.backbone(pixel_values=pictures, **options)
    if encoder.config.pooling == "pooler":
        return output.pooler_output
    leading = 1 + encoder.config.architecture.get("num_register_tokens", 0)
    hidden = output.last_hidden_state
    return hidden[:, 0] if encoder.config.pooling == "cls" else hidden[:, leading:].mean(1)


def gradients(encoder, vectors):
    encoder.zero_grad()
    (vectors * torch.arange(1.0, 17.0)).square().sum().backward()
    return {name: p.grad.clone() for name, p in encoder.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("pooling", ["cls", "mean", "pooler"])
@pytest.mark.parametrize("trained", [None, 0, 1, 4])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_suffix_of_prefix_is_the_whole(name, trained, pooling):
    encoder = built(name, trained, pooling)
    encoder.eval()  # DINOv3 moves its positions at random in training mode, where nothing is frozen
    pictures = images()
    in_parts, at_once = encoder(pictures), whole(encoder, pictures)
    assert encoder.whole(pictures).equal(at_once)
    torch.testing.assert_close(in_parts, at_once, atol=1e-6, rtol=1e-6)
    if trained is not None:
        tokens = encoder.prefix(pictures)
        assert not tokens.requires_grad
        assert torch.equal(encoder.suffix(tokens, SIZE), in_parts)
    if trained != 0:
        wanted, found = gradients(encoder, at_once), gradients(encoder, encoder(pictures))
        assert found.keys() == wanted.keys() != set()
        for key, gradient in wanted.items():
            # Sums of many terms: processors round them in other orders.
            torch.testing.assert_close(found[key], gradient, atol=3e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_frozen_blocks_have_no_randomness_and_trained_ones_keep_theirs(name):
    encoder = built(name, 2, **NOISE).train()
    pictures = images(8)
    assert torch.equal(encoder.prefix(pictures), encoder.prefix(pictures))
    tokens = encoder.prefix(pictures)
    assert not torch.equal(encoder.suffix(tokens, SIZE), encoder.suffix(tokens, SIZE))
    encoder.eval()
    assert torch.equal(encoder.prefix(pictures), tokens)
    assert torch.equal(encoder(pictures), encoder(pictures))
    nothing_trained = built(name, 0, **NOISE).train()
    assert torch.equal(nothing_trained(pictures), nothing_trained(pictures))


def test_a_graph_holds_the_trained_part_alone():
    """No activation of a frozen block is kept for a backward pass."""
    encoder = built("dinov2", 1)
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t.shape) or t, lambda t: t):
        encoder.prefix(images())
        assert not saved
        encoder(images())
    assert saved


@pytest.mark.parametrize("name", ["dinov2", "dinov2_with_registers"])
def test_the_last_block_works_for_the_class_token_alone_where_nothing_else_is_asked_for(name):
    rows = []
    for pooling, more in (("cls", {}), ("mean", {}), ("cls", {"attention_probs_dropout_prob": 0.1})):
        encoder = built(name, 2, pooling, **more)
        encoder.backbone.encoder.layer[-1].mlp.register_forward_hook(lambda _, given, __: rows.append(given[0].shape[1]))
        encoder(images())
    registers = 2 if name.endswith("registers") else 0
    assert rows == [1, 13 + registers, 13 + registers]


def test_parts_are_found_without_a_mark_on_model_or_random_state():
    encoder = built("dinov2", 2, **NOISE)
    encoder.backbone.train()
    modes = [m.training for m in encoder.backbone.modules()]
    state = torch.get_rng_state()
    assert find_parts(encoder.backbone) is not None
    assert modes == [m.training for m in encoder.backbone.modules()]
    assert torch.equal(state, torch.get_rng_state())


class Adding(nn.Module):
    """An encoder of blocks that adds a table after them; the table begins with zeros, as tables of positions often do."""

    def __init__(self, inside):
        super().__init__()
        self.layer, self._inside = inside.layer, [inside]
        self.table = nn.Parameter(torch.zeros(16), requires_grad=False)

    def forward(self, hidden_states, **options):
        output = self._inside[0](hidden_states, **options)
        output.last_hidden_state = output.last_hidden_state + self.table
        return output


def test_a_model_that_does_more_between_its_parts_is_run_whole():
    encoder = built("dinov2", 2)
    encoder.backbone.encoder = Adding(encoder.backbone.encoder)
    assert find_parts(encoder.backbone) is not None  # adding nothing is nothing
    state = {**encoder.state_dict(), "backbone.encoder.table": torch.arange(16.0)}
    encoder.load_state_dict(state)
    assert encoder.prefix_size is None
    pictures = images()
    assert torch.equal(encoder(pictures), whole(encoder, pictures))
    with pytest.raises(ModelError, match="does not consist of embeddings, blocks and a norm"):
        encoder.prefix(pictures)


@pytest.mark.parametrize(("config", "words"), [
    (EncoderConfig(architecture=CONVNEXT, pooling="pooler"), "all of it is trained"),
    (EncoderConfig(architecture=ARCHITECTURES["dinov2"]), "all of it is trained"),
])
def test_where_nothing_is_frozen_there_is_no_prefix(config, words):
    encoder = VisionEncoder(config)
    assert encoder.prefix_size is None
    with pytest.raises(ModelError, match=words):
        encoder.prefix(torch.randn(1, 3, 16, 16))


def test_a_frozen_encoder_of_any_kind_is_all_prefix():
    encoder = VisionEncoder(EncoderConfig(architecture=CONVNEXT, pooling="pooler", trainable_blocks=0))
    pictures = torch.randn(2, 3, 16, 16)
    vectors = encoder.prefix(pictures)
    assert vectors.shape == (2, 16)
    assert torch.equal(encoder.suffix(vectors, (16, 16)), encoder(pictures))
    assert encoder.prefix_size == "the whole encoder"
