"""Feature maps of several blocks of a vision transformer: whose tokens they are, what keeps a graph, what a matcher sees."""

import json
import math

import pytest
import torch
from pydantic import ValidationError

from justzoomin.errors import ModelError
from justzoomin.models import (
    EncoderConfig,
    MatcherConfig,
    ModelConfig,
    RayMatcher,
    VisionEncoder,
    ZoomModel,
    model_preset,
    with_matcher,
)

SHAPE = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "patch_size": 8, "image_size": 16}
ARCHITECTURES = {
    "dinov2": {"model_type": "dinov2", **SHAPE, "mlp_ratio": 2},
    "dinov2_with_registers": {"model_type": "dinov2_with_registers", **SHAPE, "mlp_ratio": 2, "num_register_tokens": 2},
    "dinov3_vit": {"model_type": "dinov3_vit", **SHAPE, "intermediate_size": 32, "num_register_tokens": 2},
    "vit": {"model_type": "vit", **SHAPE, "intermediate_size": 32},
}
LEADING = {"dinov2": 1, "dinov2_with_registers": 3, "dinov3_vit": 3, "vit": 1}
STAGES = (1, 3, 4)


def small(**matcher) -> ModelConfig:
    """`best-base` on a tiny encoder of the same kind: photos of 24 px, pieces of map of 48 px."""
    values = model_preset("best-base").model_dump()
    values["encoder"] = {"architecture": ARCHITECTURES["dinov2"], "trainable_blocks": 2, "stages": (1, 2, 3, 4)}
    values["matcher"] |= {"metres_per_pixel": 1.0, "window_m": 32.0, "margin_m": 8.0, "channels": 4, "ranges": 4, "width": 8,
                          "reach_m": 12.0, **matcher}
    return ModelConfig.model_validate({**values, "image_pixels": 24, "decoder": {"blocks": 1, "heads": 2}})


@pytest.fixture(scope="module")
def model() -> ZoomModel:
    return ZoomModel(small(), seed=0).eval()


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("trained", [None, 2, 0])
def test_the_maps_are_the_tokens_after_the_named_blocks(name, trained):
    encoder = VisionEncoder(EncoderConfig(architecture=ARCHITECTURES[name], trainable_blocks=trained, stages=STAGES)).eval()
    assert len(encoder.blocks) == 4
    images, outputs = torch.randn(2, 3, 16, 24), {}
    for number, block in enumerate(encoder.blocks, 1):
        block.register_forward_hook(lambda _, __, out, number=number: outputs.setdefault(number, out))
    vectors, maps = encoder.stages(images)
    assert encoder.stage_widths == (16, 16, 16) and [m.shape for m in maps] == [(2, 16, 2, 3)] * 3
    for block, found in zip(STAGES, maps, strict=True):  # row by row, without class token and registers
        assert torch.equal(found.flatten(2).transpose(1, 2), outputs[block][:, LEADING[name]:])
    torch.testing.assert_close(vectors, encoder(images), rtol=1e-4, atol=1e-5)


def test_frozen_blocks_keep_no_graph_and_only_trained_blocks_get_gradients():
    config = EncoderConfig(architecture=ARCHITECTURES["dinov2"], trainable_blocks=2, stages=(1, 2, 3, 4))
    encoder = VisionEncoder(config).train()
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        maps = encoder.stages(torch.randn(1, 3, 16, 16))[1]
    assert [m.requires_grad for m in maps] == [False, False, True, True]
    frozen = {p.data_ptr() for p in encoder.parameters() if not p.requires_grad}
    assert kept and not any(t.data_ptr() in frozen for t in kept)
    sum(m.square().sum() for m in maps).backward()
    trained = [name for name, p in encoder.named_parameters() if p.grad is not None]
    numbers = {part for name in trained for part in name.split(".") if part.isdigit()}
    assert numbers == {"2", "3"}  # counted from 0
    whole = VisionEncoder(EncoderConfig(architecture=ARCHITECTURES["dinov2"], stages=(1,)))
    whole.stages(torch.randn(1, 3, 16, 16))[1][0].sum().backward()
    assert whole.backbone.embeddings.patch_embeddings.projection.weight.grad is not None


def test_an_encoder_that_does_not_run_in_parts_gives_the_same_maps():
    encoder = VisionEncoder(EncoderConfig(architecture=ARCHITECTURES["dinov2"], stages=STAGES)).eval()
    images = torch.randn(1, 3, 16, 16)
    with torch.no_grad():
        maps = encoder.stages(images)[1]
        encoder._parts = None
        assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(maps, encoder.stages(images)[1], strict=True))


def test_a_matcher_sees_enlarged_maps(model):
    """A patch of 8 px, enlarged twice: places of 4 px on the map, and two rays and rows a patch of a photo."""
    matcher = model.matcher
    assert (matcher.rows, matcher.rays, matcher.place_m) == (6, 6, 4.0)
    with torch.no_grad():
        fans = model.fans(model.encode_photos(torch.randn(2, 2, 3, 24, 24)))
        ground = model.describe_ground(torch.randn(3, 48, 48))
    assert fans.shape == (2, 6 * 4 * 4) and torch.allclose(fans.norm(dim=1), torch.ones(2), atol=1e-5)
    assert ground.places.shape == (4, 12, 12) and ground.headings.shape == (16, 12, 12)


def test_the_enlarged_map_stays_where_it_was(model):
    """A change in one corner of the blocks' maps changes the merged map there, and nothing in the opposite corner."""
    matcher, maps = model.matcher, [torch.randn(1, 16, 6, 6) for _ in range(4)]
    changed = [m.clone() for m in maps]
    for m in changed:
        m[:, :, 0, 5] = torch.randn(1, 16)  # north-east
    with torch.no_grad():
        before, after = (matcher.map_pyramid(matcher.map_scaled(m)) for m in (maps, changed))
    moved = (before - after).abs().sum(1)[0] > 1e-6
    assert moved.shape == (12, 12) and moved[:2, 10:].all() and not moved[6:].any() and not moved[:, :6].any()


def test_rays_point_where_their_columns_are():
    """Photos of 384 px have 27 complete patches of 14 px: the last 6 px of each half are not seen."""
    config = MatcherConfig(scales=(2,), assumed_fov_deg=90.0)
    matcher = RayMatcher(config, (16,), 14, 384)
    assert matcher.rays == 54
    first, last, middle = (math.tan(float(matcher.azimuths[k])) for k in (0, 53, 27))
    assert first == pytest.approx(7 / 384 - 1, abs=1e-6) and last == pytest.approx((26 * 14 + 7) / 384, abs=1e-6)
    assert middle == pytest.approx(7 / 384, abs=1e-6)
    even = RayMatcher(MatcherConfig(), (16,), 4, 48)
    assert torch.equal(even.azimuths, torch.atan(((torch.arange(12) + 0.5) / 12 * 2 - 1) * math.tan(math.radians(37.5))))


def test_it_is_saved_and_opened_with_its_blocks(model, tmp_path):
    folder = model.save_pretrained(tmp_path / "m")
    opened = ZoomModel.from_pretrained(folder)
    assert opened.fingerprint() == model.fingerprint()
    assert (opened.config.encoder.stages, opened.config.matcher.scales) == ((1, 2, 3, 4), (2, 2, 1, 1))
    picture = torch.randn(3, 48, 48)
    with torch.no_grad():
        assert torch.equal(opened.describe_ground(picture).places, model.describe_ground(picture).places)
    values = json.loads((folder / "config.json").read_text())
    values["encoder"]["stages"] = [1, 2, 3, 200]
    (folder / "config.json").write_text(json.dumps(values))
    with pytest.raises(ModelError, match="block 200 is asked for, but the encoder has 4"):
        ZoomModel.from_pretrained(folder)


def test_a_zoomer_gets_a_matcher_that_sees_its_blocks(model):
    config = small()
    plain = config.model_copy(update={"matcher": None, "encoder": config.encoder.model_copy(update={"stages": ()})})
    zoomer = ZoomModel(plain, seed=1)
    found = with_matcher(zoomer, config.matcher, stages=config.encoder.stages).eval()
    assert found.config.encoder.stages == (1, 2, 3, 4) and found.describe_ground(torch.randn(3, 48, 48)).places.shape[1] == 12
    with pytest.raises(ModelError, match="4 scales for 0 blocks"):
        with_matcher(zoomer, config.matcher)


def test_older_models_keep_their_fingerprints():
    best = model_preset("best")
    assert '"stages"' not in best.identity() and '"scales"' not in best.identity()
    assert '"stages"' in small().identity() and '"scales":[2,2,1,1]' in small().identity()


@pytest.mark.parametrize(("encoder", "matcher", "words"), [
    ({"stages": (3, 1)}, {}, "must increase"),
    ({"stages": (1, 2, 3, 5)}, {}, "block 5 is asked for, but the encoder has 4"),
    ({"stages": (1, 2)}, {}, "4 scales for 2 blocks"),
    ({}, {"scales": (1, 2, 1, 1)}, "must not increase"),
    ({}, {"scales": (3, 1, 1, 1)}, "1, 2 or 4"),
    ({}, {"window_m": 33.0}, "49 px; it must be a multiple of the encoder's patch, 8 px"),
    ({"architecture": ARCHITECTURES["dinov2"] | {"patch_size": 14}}, {"scales": (4, 1, 1, 1)}, "divided by 4"),
])
def test_settings_that_do_not_fit_are_refused(encoder, matcher, words):
    values = small().model_dump()
    values["encoder"] |= encoder
    values["matcher"] |= matcher
    with pytest.raises(ValidationError, match=words):
        ModelConfig.model_validate(values)


def test_a_network_in_stages_has_no_blocks_to_choose():
    with pytest.raises(ValidationError, match=r"encoder\.stages: only a vision transformer"):
        ModelConfig(encoder=model_preset("small").encoder.model_copy(update={"stages": (1,)}))


def test_it_is_exported(tmp_path):
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    from justzoomin.models import export_onnx

    folder = ZoomModel(small(), seed=0).save_pretrained(tmp_path / "m")
    export_onnx(folder)
    photos, picture = torch.randn(2, 2, 3, 24, 24), torch.randn(3, 48, 48)
    ours, exported = ZoomModel.from_pretrained(folder), ZoomModel.from_pretrained(folder, runtime="onnx")
    with torch.inference_mode():
        torch.testing.assert_close(exported.encode_photos(photos), ours.encode_photos(photos), rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(exported.describe_ground(picture).places, ours.describe_ground(picture).places,
                                   rtol=1e-3, atol=1e-3)
