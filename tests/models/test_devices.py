"""Every preset trains and searches on a device that is not the CPU: no tensor is left behind, and the results are the CPU's."""

import csv
from collections.abc import Iterator
from copy import deepcopy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import functional

from fakes import make_repository
from justzoomin.data import Dataset, halves, open_dataset
from justzoomin.maps import GridViews
from justzoomin.models import MapModel, build_model
from justzoomin.models.compute import plan
from justzoomin.models.config import PRESETS
from justzoomin.posterior import HeadingPrior
from justzoomin.search import GroundIndex, GroundMap, Localizer, ViewVectors, build_index, views_of
from justzoomin.search.budget import Budget
from justzoomin.search.cost import matching_cost
from justzoomin.search.panoramas import YAWS_DEG
from justzoomin.training import TrainConfig, train_config
from justzoomin.training.families import task_of
from justzoomin.training.maps import TrainingMaps
from justzoomin.training.prefix_cache import open_cache
from justzoomin.training.run import _loaders
from justzoomin.training.task import Task, TaskSetup
from pretended_gpu import GPU, OnGpu, move, pretended_gpu

HUB = "{model_type: dinov2, hidden_size: 16, num_hidden_layers: 12, num_attention_heads: 2, mlp_ratio: 2, patch_size: 8, " \
      "image_size: 32}"
"""An encoder of the kind of those whose weights come from the hub."""
WORDS = ("model.image_pixels=32", "batch_size=5", "augment.enabled=true", "mine_from=1", "accelerator=cpu", "negatives=1",
         "batch_places=2")
OWN = ("model.encoder.architecture.hidden_sizes=[8, 16, 24]", "model.encoder.architecture.depths=[1, 1, 1]")
MATCHER = ("matching.poses=64", "model.matcher.window_m=128", "model.matcher.margin_m=16", "model.matcher.metres_per_pixel=1",
           "model.matcher.channels=4", "model.matcher.width=8", "model.matcher.reach_m=20", "model.matcher.tried=32",
           "model.matcher.zoom_weight=0.5")
TWINS = [*PRESETS, "best with an encoder of its own", "paper with kept outputs"]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """A town whose photos have known bearings, and two that have none."""
    root = make_repository(tmp_path_factory.mktemp("devices") / "town", size_m=200.0, pixels=32, train=10, val=3)
    ids = open_dataset(root).split("train").image_ids
    (root / "streetview").mkdir(exist_ok=True)
    with (root / "streetview" / "headings.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image_id", "bearing_deg"), *((name, 20 * k or -1) for k, name in enumerate(ids[:9]))])
    return open_dataset(root)


def settings(twin: str) -> TrainConfig:
    """A preset with a tiny encoder."""
    name = twin.partition(" ")[0]
    plain = train_config(name).model
    words = [*WORDS, *(MATCHER if plain.matcher is not None else ())]
    if plain.encoder.source is None:
        words += OWN
    else:
        words += ["model.encoder.source=null", f"model.encoder.architecture={HUB}",
                  *(["model.matcher.symmetries=1"] if plain.matcher is not None else [])]
    if "encoder of its own" in twin:
        words.append("model.matcher.own_encoder=true")
    if "kept outputs" in twin:
        words.append("prefix_cache=memory")
    config = train_config(name, None, tuple(words))
    return config.model_copy(update={"model": config.model.model_copy(update={"depth": 2})})


def task(config: TrainConfig, town: Dataset) -> tuple[Task, list, list]:
    """A task as `train` makes it, and its batches for training and validation."""
    maps, model = TrainingMaps.of(config, [town]), build_model(config.model, seed=0)
    plan("cpu", "fp32", training=True).prepare(model)
    views, kind = [GridViews(town.map, town.grid, model.config.image_pixels)], task_of(model)
    (training, validation), miner = _loaders(kind, config, model.config, maps, views, 0, 1)
    prefix = None
    if config.prefix_cache is not None:
        prefix = open_cache(model, config.prefix_cache, 1 << 20, "fp32", town.root, views[0].count, "fp32")
    made = kind.of(TaskSetup(model, config, maps, views, 100, miner, prefix))
    made.log = made.log_dict = lambda *_, **__: None
    made._trainer = SimpleNamespace(training=True, current_epoch=0, global_rank=0, world_size=1)
    return made, list(training), list(validation)


def steps(made: Task, training: list, validation: list, device: torch.device) -> Iterator[np.ndarray]:
    """Yield what some steps of a training compute: losses, gradients, and answers of a validation."""
    made.model.train()
    for number, batch in enumerate(training):
        moved = made.transfer_batch_to_device(deepcopy(batch), device, 0)
        loss = made.training_step(made.on_after_batch_transfer(moved, 0), number)
        assert loss.device == device
        loss.backward()
        yield loss.detach().cpu().numpy()
    for parameter in made.model.parameters():
        assert parameter.grad is None or parameter.grad.device == device
        yield (torch.zeros(1) if parameter.grad is None else parameter.grad).cpu().numpy()
    if hasattr(made, "_mine"):
        yield made._mine()
    made.model.eval()
    made._trainer.training = False
    with torch.no_grad():
        made.on_validation_epoch_start()
        for number, batch in enumerate(validation):
            made.validation_step(made.transfer_batch_to_device(deepcopy(batch), device, 0), number)
        yield from (part.numpy() for found in made._found for part in found)
        made.on_validation_epoch_end()


@pytest.mark.parametrize("twin", TWINS)
def test_a_preset_trains_on_another_device_as_on_the_cpu(town: Dataset, twin: str) -> None:
    config = settings(twin)
    own, there = task(config, town), task(config, town)
    wanted = list(steps(*own, torch.device("cpu")))
    assert sum(float(np.abs(each).sum()) for each in wanted[2:-4]) > 0
    with pretended_gpu():
        move(there[0])
        found = list(steps(*there, GPU))
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


def photos(town: Dataset, pixels: int) -> tuple[list[str], torch.Tensor]:
    """Ids and halves of the validation photos."""
    samples = town.torch_dataset("val", pixels)
    return samples.image_ids, halves(torch.stack([samples[k]["wide"] for k in range(len(samples))]))


def searches(model: MapModel, town: Dataset) -> Iterator[np.ndarray]:
    """Yield what every search of a model finds for some photos."""
    ids, pairs = photos(town, model.config.image_pixels)
    data = [town.photos.read(name) for name in ids]
    model.provenance = {"map_hash": town.map.fingerprint()}  # the zoomer's own map, so that it has a say
    for search in ("posterior", *(("greedy", "beam:5") if model.decodes_paths else ())):
        localizer = Localizer(model, town.map, town.grid, search=search)
        yield np.array([localizer.localize(one).expected for one in data])
    localizer = Localizer(model, town.map, town.grid, search="posterior")
    yield localizer.log_probs(pairs)
    if model.matcher is None:
        return
    vectors = localizer.encode(pairs)
    known = [HeadingPrior(40.0, 20.0)] * len(vectors)
    for found in localizer.answering.find(vectors, known):
        yield np.array([fields["expected"] for fields in found.fields()])
    yield localizer.log_probs(pairs[:1, None].expand(-1, len(YAWS_DEG), -1, -1, -1, -1))  # a panorama
    ground = GroundMap(model, town.map, town.grid)
    for tiles in (1, 3):  # rough everywhere, fine in some tiles
        yield from (found.cpu().numpy() for found in ground.pose_scores(model.fans(vectors), Budget(tiles, 0.0)))
    assert matching_cost(ground).photo_seconds > 0


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_searches_on_another_device_as_on_the_cpu(town: Dataset, preset: str, tmp_path) -> None:
    model = build_model(settings(preset).model, seed=1).eval()
    wanted, fingerprint = list(searches(model, town)), model.fingerprint()
    assert all(np.isfinite(np.where(np.isneginf(each), 0.0, each)).all() for each in wanted)
    with pretended_gpu():
        move(model)
        assert model.device == GPU and model.fingerprint() == fingerprint
        found = list(searches(model, town))
        if len(model.layers(town.grid)):  # a classifier uses no map
            build_index(model, town.map, tmp_path / "index", town.grid)
            localizer = Localizer(model, town.map, town.grid, tmp_path / "index", search="posterior")
            indexed = localizer.log_probs(photos(town, model.config.image_pixels)[1])
            np.testing.assert_allclose(indexed, next(each for each in wanted if each.ndim == 2), rtol=1e-3, atol=1e-4)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)
    assert model.matcher is None or GroundIndex.open_for(tmp_path / "index", model, town.map, town.grid).count() > 0


def test_a_tensor_left_on_the_cpu_is_found() -> None:
    values = torch.randn(4, 3)
    with pretended_gpu() as device:
        there = values.to(device)
        assert isinstance(there, OnGpu) and there.device.type == "meta"
        for mixed in (lambda: there + values, lambda: torch.cat([there, values]), lambda: functional.linear(values, there),
                      lambda: torch.where(there > 0, there, values), lambda: values[there[:, 0] > 0],
                      lambda: functional.embedding(torch.arange(2), there), lambda: there.masked_fill(values > 0, 0.0),
                      lambda: there.gather(1, values.argmax(1, keepdim=True)),
                      lambda: there.index_copy(0, torch.arange(4), there)):
            with pytest.raises(RuntimeError, match=r"the same device|on the CPU"):
                mixed()
        with pytest.raises((RuntimeError, TypeError)):
            there.numpy()


def test_what_cuda_allows_is_allowed() -> None:
    """A number, indices of the CPU, copies in both directions, reading a value."""
    values = torch.randn(4, 3)
    with pretended_gpu() as device:
        there = values.to(device)
        assert torch.equal((there * torch.tensor(2.0)).cpu(), values * 2)
        assert torch.equal(there[torch.tensor([2, 0])].cpu(), values[[2, 0]])
        assert torch.equal(there[values > 0].cpu(), values[values > 0])
        assert float(there.sum()) == float(values.sum()) and bool((there < 100).all())
        made = torch.zeros(4, 3, device=device)
        made[1:].copy_(values[1:])
        assert made.tolist()[1:] == values.tolist()[1:]
        assert torch.equal(torch.zeros(4, 3).copy_(there), values)


def test_vectors_of_views_come_back_on_the_device(town: Dataset) -> None:
    model = build_model(settings("small").model, seed=1).eval()
    with pretended_gpu():
        move(model)
        vectors = ViewVectors(model, views_of(model, town.map, town.grid))
        assert vectors.at(np.arange(3)).device == GPU
