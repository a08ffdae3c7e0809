import pytest
import torch
from pydantic import ValidationError

from justzoomin.errors import ModelError
from justzoomin.models import ModelConfig, ZoomModel, model_preset


def test_distinct_views_once_equals_encoding_every_view(tiny_model, batch):
    photos, views, view_index, actions = batch

    def gradients(logits):
        tiny_model.zero_grad()
        logits.square().sum().backward()
        return [p.grad.clone() for p in tiny_model.parameters() if p.grad is not None]

    once = tiny_model(photos, views, view_index, actions)
    every = tiny_model.encode_views(views[view_index].flatten(0, 1)).view(3, 4, -1)
    all_of_them = tiny_model.decode(tiny_model.encode_photos(photos), every, actions)
    torch.testing.assert_close(once, all_of_them, atol=1e-5, rtol=1e-4)
    for one, other in zip(gradients(once), gradients(all_of_them), strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-3)


def test_a_photo_is_the_mean_of_its_halves(tiny_model, batch):
    photos = batch[0]
    left, right = tiny_model.encode_views(photos[:, 0]), tiny_model.encode_views(photos[:, 1])
    torch.testing.assert_close(tiny_model.encode_photos(photos), (left + right) / 2)


def test_step_by_step_equals_forward(tiny_model, batch):
    photos, views, view_index, actions = batch
    with torch.no_grad():
        full = tiny_model(photos, views, view_index, actions)
        vectors = tiny_model.encode_views(views)
        cache = tiny_model.begin(tiny_model.encode_photos(photos))
        for step in range(4):
            logits = tiny_model.step(vectors[view_index[:, step]], actions[:, step - 1] if step else None, cache)
            torch.testing.assert_close(logits, full[:, step], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("grid", range(2, 9))
def test_any_grid(tiny_config, batch, grid):
    model = ZoomModel(tiny_config.model_copy(update={"grid": grid}))
    photos, views, view_index, actions = batch
    assert model(photos, views, view_index, actions % grid**2).shape == (3, 4, grid**2)


def test_fresh_weights_follow_the_seed_and_leave_the_global_one(tiny_config):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one, same, other = (ZoomModel(tiny_config, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    assert one.fingerprint() == same.fingerprint() != other.fingerprint()


def test_the_fingerprint_follows_weights_and_settings(tiny_config):
    model = ZoomModel(tiny_config)
    before = model.fingerprint()
    with torch.no_grad():
        next(model.decoder.parameters())[0, 0] += 1e-4
    assert model.fingerprint() != before
    assert ZoomModel(tiny_config.model_copy(update={"photo_decode": "full"})).fingerprint() != before


def test_fresh_logits_are_nearly_even(tiny_model, batch):
    assert tiny_model(*batch).softmax(-1).max() < 0.2


def test_small_is_small_and_learns_from_every_weight():
    config = model_preset("small")
    model = ZoomModel(config)
    encoder_weights = sum(p.numel() for p in model.encoder.parameters())
    assert 1e6 <= encoder_weights <= 3e6
    assert config.encoder.source is None
    assert 192 <= model.encoder.width <= 320
    side = config.image_pixels
    logits = model(torch.randn(2, 2, 3, side, side), torch.randn(3, 3, side, side), torch.tensor([[0, 1], [0, 2]]),
                   torch.tensor([[1, 2], [3, 4]]))
    logits.square().sum().backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []
    assert not any("running_mean" in name for name in model.state_dict())


def paper_at(folder) -> ModelConfig:
    """The paper preset but for the size of its images and its encoder's folder."""
    config = model_preset("paper")
    return config.model_copy(update={
        "image_pixels": 32, "encoder": config.encoder.model_copy(update={"source": str(folder)})})


def test_the_paper_preset_is_as_published():
    config = model_preset("paper")
    assert config.encoder.model_dump() == {"source": "facebook/dinov2-base", "architecture": None, "pooling": "cls",
                                           "trainable_blocks": 4, "stages": ()}
    assert config.decoder.model_dump() == {"width": None, "blocks": 6, "heads": 8, "ffn_multiple_of": 256,
                                           "dropout": 0.1, "rope_theta": 10000.0}
    assert (config.grid, config.depth, config.image_pixels, config.actions) == (4, 4, 384, 16)
    assert (config.mean, config.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def test_the_paper_preset_takes_weights_from_a_folder_and_freezes_as_published(tiny_dinov2_folder):
    from transformers import AutoModel

    model = ZoomModel(paper_at(tiny_dinov2_folder))
    reference = AutoModel.from_pretrained(tiny_dinov2_folder)
    for name, tensor in reference.state_dict().items():
        torch.testing.assert_close(model.encoder.backbone.state_dict()[name], tensor)
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(model.encode_views(images), reference(images).last_hidden_state[:, 0])
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    expected = {name for name, _ in model.named_parameters()
                if name.startswith(("decoder.", "encoder.backbone.layernorm.",
                                    *(f"encoder.backbone.encoder.layer.{n}." for n in (2, 3, 4, 5))))}
    assert trained == expected


def test_the_paper_preset_reopens_without_its_source(tiny_dinov2_folder, tmp_path):
    model = ZoomModel(paper_at(tiny_dinov2_folder)).eval()
    model.save_pretrained(tmp_path / "model")
    for path in tiny_dinov2_folder.iterdir():
        path.unlink()
    tiny_dinov2_folder.rmdir()
    opened = ZoomModel.from_pretrained(tmp_path / "model")
    images = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(opened.encode_views(images), model.encode_views(images))
    assert {n for n, p in opened.named_parameters() if p.requires_grad} \
        == {n for n, p in model.named_parameters() if p.requires_grad}


def test_settings_that_cannot_be_are_told():
    with pytest.raises(ModelError, match="Choose one of: paper, small"):
        model_preset("large")
    config = model_preset("small").model_dump()
    for change, words in (({"grid": 9}, "grid"), ({"std": (0, 1, 1)}, "std"), ({"colour": 1}, "colour")):
        with pytest.raises(ValidationError, match=words):
            ModelConfig.model_validate({**config, **change})
