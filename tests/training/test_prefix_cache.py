"""Kept outputs of frozen blocks change nothing but the time."""

import json
from pathlib import Path

import pytest
import torch

from fakes import make_repository
from justzoomin.data import AugmentConfig, collate, open_dataset
from justzoomin.errors import ModelError, TrainingError
from justzoomin.maps import GridViews
from justzoomin.models import ZoomModel
from justzoomin.training import ZoomTask, train, train_config
from justzoomin.training.prefix_cache import open_cache, prefix_key

DINO = ("model.encoder.architecture={model_type: dinov2, hidden_size: 16, num_hidden_layers: 3, num_attention_heads: 2, "
        "mlp_ratio: 2, patch_size: 8, image_size: 32}")
WORDS = (DINO, "model.encoder.pooling=cls", "model.encoder.trainable_blocks=1", "model.image_pixels=32",
         "model.decoder.blocks=1", "model.decoder.dropout=0.1", "batch_size=6", "accelerator=cpu", "model.depth=2")
COUNT = 17  # views of a grid of 4 x 4 and depth 2


def settings(*more):
    return train_config("small", None, (*WORDS, *more))


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    return make_repository(tmp_path_factory.mktemp("repository") / "town", train=12, val=4, pixels=32)


@pytest.fixture
def model():
    return ZoomModel(settings().model, seed=2)


@pytest.fixture
def views():
    return torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(4))


def cache_of(model, kind, folder, storage="fp32", room=1 << 20, precision="fp32"):
    return open_cache(model, kind, room, storage, folder, COUNT, precision)


def loss_and_gradients(repository, config, cache, batches=1):
    """Of the last of some batches of the same photos, so that a cache is filled by the others."""
    dataset = open_dataset(repository)
    model = ZoomModel(config.model, seed=2).train()
    pictures = GridViews(dataset.map, dataset.grid, 32)
    photos = dataset.torch_dataset("train", 32, views=pictures)
    task = ZoomTask(model, config, [pictures], 10, None if cache is None else cache(model))
    task.log = lambda *_, **__: None
    for _ in range(batches):
        model.zero_grad()
        loss = task.training_step(collate([photos[i] for i in range(6)]), 0)
        loss.backward()
    return loss.detach(), {n: p.grad for n, p in model.named_parameters() if p.grad is not None}, task.prefix


@pytest.mark.parametrize("augment", ["augment.enabled=false", "augment.enabled=true"])
@pytest.mark.parametrize(("kind", "trained"), [("memory", 1), ("disk", 1), ("memory", 0)])
def test_loss_and_gradients_are_the_uncached_ones(repository, tmp_path, kind, trained, augment):
    config = settings(augment, f"model.encoder.trainable_blocks={trained}")
    loss, wanted, _ = loss_and_gradients(repository, config, None)
    for batches in (1, 2):
        again, found, cache = loss_and_gradients(
            repository, config, lambda m, folder=tmp_path / str(batches): cache_of(m, kind, folder), batches)
        torch.testing.assert_close(again, loss, atol=1e-6, rtol=1e-6)
        assert found.keys() == wanted.keys()
        for name, gradient in wanted.items():
            torch.testing.assert_close(found[name], gradient, atol=1e-5, rtol=1e-5)
    assert cache.hits == cache.misses > 0
    assert (cache.misses == 1) == (augment == "augment.enabled=true"), "augmented views are never kept, the root always is"


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_what_is_kept_comes_back_exactly_and_in_half_precision_rounded(model, views, tmp_path, kind):
    numbers = [0, 3, 16, 7, 9]
    cache, half = cache_of(model, kind, tmp_path), cache_of(model, kind, tmp_path, "fp16")
    first = cache.tokens(numbers, views)
    assert torch.equal(cache.tokens(numbers, views), first)
    order = [2, 0, 4]
    assert torch.equal(cache.tokens([numbers[i] for i in order], views[order]), first[order])
    assert (cache.hits, cache.misses) == (8, 5)
    assert torch.equal(half.tokens(numbers, views), first.half().float())
    assert torch.equal(half.tokens(numbers, views), first.half().float())


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_the_room_is_a_bound(model, views, tmp_path, kind):
    each = model.encoder.prefix(torch.zeros(1, 3, 32, 32)).numel() * 4
    cache = cache_of(model, kind, tmp_path, room=2 * each + 5)
    for _ in range(3):
        tokens = cache.tokens([0, 1, 2, 3, 4], views)
    assert cache.hits == 4  # two views, twice
    assert torch.equal(tokens, cache.tokens([0, 1, 2, 3, 4], views))
    if kind == "disk":
        assert sum(p.stat().st_size for p in tmp_path.rglob("tokens.bin")) == 2 * each
    with pytest.raises(TrainingError, match="prefix_cache_mb"):
        cache_of(model, kind, tmp_path, room=each - 1)


def test_a_disk_outlives_the_process_and_other_pixels_or_damage_are_not_served(model, views, tmp_path):
    first = cache_of(model, "disk", tmp_path).tokens([0, 1, 2, 3, 4], views)
    again = cache_of(model, "disk", tmp_path)
    assert torch.equal(again.tokens([0, 1, 2, 3, 4], views), first)
    assert again.misses == 0
    changed = views.clone()
    changed[2, 0, 5, 5] ^= 1
    other = cache_of(model, "disk", tmp_path)
    assert not torch.equal(other.tokens([0, 1, 2, 3, 4], changed)[2], first[2])
    assert other.misses == 1
    file = next(tmp_path.rglob("tokens.bin"))
    content = bytearray(file.read_bytes())
    for place in range(len(content) // COUNT // 2, len(content), len(content) // COUNT):
        content[place] ^= 1
    file.write_bytes(bytes(content))
    damaged = cache_of(model, "disk", tmp_path)
    assert torch.equal(damaged.tokens([0, 1, 2, 3, 4], views), first)
    assert damaged.misses == 5


def test_the_key_follows_frozen_weights_and_settings_and_not_trained_ones(model):
    key = prefix_key(model, "fp32", "fp32")
    with torch.no_grad():
        model.encoder.backbone.encoder.layer[2].mlp.fc1.weight[0, 0] += 1
    assert prefix_key(model, "fp32", "fp32") == key
    others = [prefix_key(model, "fp16", "fp32"), prefix_key(model, "fp32", "bf16")]
    with torch.no_grad():
        model.encoder.backbone.encoder.layer[1].mlp.fc1.weight[0, 0] += 1
    others.append(prefix_key(model, "fp32", "fp32"))
    assert len({key, *others}) == 4


@pytest.mark.parametrize("damage", ["header", "no json", "cut", "grown"])
def test_a_folder_that_holds_something_else_is_refused(model, views, tmp_path, damage):
    cache_of(model, "disk", tmp_path).tokens([0], views[:1])
    header, tokens = next(tmp_path.rglob("header.json")), next(tmp_path.rglob("tokens.bin"))
    if damage == "header":
        header.write_text(json.dumps({**json.loads(header.read_text()), "key": "0" * 64}))
    elif damage == "no json":
        header.write_text("[" * 60_000)
    elif damage == "cut":
        tokens.write_bytes(tokens.read_bytes()[:-7])
    else:
        tokens.write_bytes(tokens.read_bytes() * 2)
    with pytest.raises(TrainingError, match="Remove the folder"):
        cache_of(model, "disk", tmp_path)


def test_too_full_a_disk_is_refused_before_the_first_step(model, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(TrainingError, match="prefix_cache_mb"):
        cache_of(model, "disk", tmp_path)


def test_an_encoder_without_a_frozen_part_is_refused(repository, tmp_path):
    with pytest.raises(ModelError, match="no frozen part"):
        train(settings("prefix_cache=memory", "model.encoder.trainable_blocks=null"), open_dataset(repository), tmp_path / "r")
    assert not (tmp_path / "r").exists()  # a refused run leaves nothing behind


def test_a_run_with_a_cache_ends_like_one_without(repository, tmp_path):
    from safetensors.torch import load_file

    words = ("epochs=2", "learning_rate=0.001", "model.decoder.dropout=0", "val_split=null")
    last = {}
    for kind in ("null", "disk"):
        out = tmp_path / kind
        train(settings(*words, f"prefix_cache={kind}"), open_dataset(repository), out)
        last[kind] = load_file(out / "models" / "last" / "model.safetensors")
    assert (tmp_path / "disk" / "prefix").is_dir()
    for name, tensor in last["null"].items():
        torch.testing.assert_close(last["disk"][name], tensor, atol=1e-4, rtol=1e-3)


def test_augmenting_views_leaves_little_to_keep_and_that_is_said(repository, tmp_path: Path):
    config = settings("prefix_cache=memory", "epochs=1", "augment.enabled=true", "val_split=null")
    assert AugmentConfig().views
    with pytest.warns(UserWarning, match="only the root view"):
        train(config, open_dataset(repository), tmp_path / "run")
