"""Training with a ray matcher: batches of one piece of map, bearings, resuming, a loss that falls."""

import csv

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from fakes import make_repository
from justzoomin.data import ResumableBatchSampler, halves, open_dataset, open_datasets, to_tensor, wide_photo
from justzoomin.errors import ModelError
from justzoomin.maps import Windows
from justzoomin.models import ZoomModel
from justzoomin.search import Localizer
from justzoomin.training import train, train_config
from justzoomin.training.match_task import change_light, seen_squares

SETTINGS = ("epochs=2", "batch_size=4", "save_every=1", "log_every=1", "model.image_pixels=32", "learning_rate=0.003",
            "model.encoder.architecture.hidden_sizes=[8, 16, 24]", "model.encoder.architecture.depths=[1, 1, 1]",
            "accelerator=cpu", "val_split=null", "matching.poses=64", "model.matcher.window_m=64", "model.matcher.margin_m=16",
            "model.matcher.metres_per_pixel=1", "model.matcher.channels=4", "model.matcher.width=8", "model.matcher.reach_m=20")


@pytest.fixture(scope="module")
def towns(tmp_path_factory):
    folder = tmp_path_factory.mktemp("match")
    for number, name in enumerate(("a", "b")):
        root = make_repository(folder / name, train=9, val=3, pixels=32, seed=number, lat=54.5 + number / 10)
        ids = open_dataset(root).split("train").image_ids
        (root / "streetview").mkdir(exist_ok=True)
        with (root / "streetview" / "headings.csv").open("w", newline="") as file:
            rows = [(image_id, ("", -1)[k] if k < 2 else 10 * k) for k, image_id in enumerate(ids)]
            csv.writer(file).writerows([("image_id", "bearing_deg"), *rows])
    return folder


def test_bearings_are_found_beside_the_photos(towns):
    bearings = open_dataset(towns / "a").bearings("train")
    assert np.isnan(bearings[:2]).all()  # not stated, and -1, which means unknown
    assert bearings[2:].tolist() == [10.0 * k for k in range(2, 9)]


def test_a_batch_is_of_one_group_as_far_as_it_lasts():
    groups = np.array([0] * 10 + [1] * 7 + [2] * 3)
    sampler = ResumableBatchSampler(20, 3, seed=0, groups=groups)
    batches = [[draw.photo for draw in batch] for batch in sampler]
    assert sorted(photo for batch in batches for photo in batch) == list(range(20))
    assert all(len(set(groups[batch])) == 1 for batch in batches[:6])  # 3 + 2 + 1 whole runs; the rest is mixed
    sampler.set_epoch(1)
    assert [[draw.photo for draw in batch] for batch in sampler] != batches


def test_negatives_stand_where_photos_do(towns):
    town = open_dataset(towns / "a")
    windows = Windows(town.map, town.grid, 64.0, 16.0, 1.0)
    records = town.split("train")
    photos = np.stack(windows.place(records.lat, records.lon), 1)
    found = 0
    for piece in range(len(windows)):
        near, everywhere = (seen_squares(windows, piece, photos, metres) for metres in (12.0, None))
        assert len(everywhere) == 13 * 13
        middle = near.numpy() + 2.5 + windows.corner(piece)
        assert (np.linalg.norm(middle[:, None] - photos, axis=2).min(1) <= 12.0).all()
        found += len(near)
        inside = windows.number(*photos.T) == piece
        for place in photos[inside] - windows.corner(piece):  # its own square is one of them
            assert ((near.numpy() <= place + 1e-6) & (near.numpy() + 5.0 >= place - 1e-6)).all(1).any()
    assert 9 < found < len(windows) * 13 * 13


def weights(run):
    return load_file(run / "models" / "last" / "model.safetensors")


def test_it_trains_and_resumes_exactly(towns, tmp_path):
    datasets, config = open_datasets([towns]), train_config("best", None, SETTINGS)
    train(config, datasets, tmp_path / "whole")
    train(config, datasets, tmp_path / "halved", stop_after=3)
    train(config, datasets, tmp_path / "halved", resume=True)
    whole, halved = weights(tmp_path / "whole"), weights(tmp_path / "halved")
    assert all(torch.equal(whole[name], halved[name]) for name in whole)
    assert any(name.startswith("matcher.") for name in whole)


def test_the_loss_falls(towns, tmp_path):
    config = train_config("best", None, (*SETTINGS, "epochs=12", "matching.mirror=0", "matching.zoom_weight=0"))
    train(config, open_datasets([towns]), tmp_path / "run")
    with (tmp_path / "run" / "metrics.csv").open() as file:
        loss = [float(row["value"]) for row in csv.DictReader(file) if row["name"] == "loss"]
    assert np.mean(loss[-10:]) < np.mean(loss[:10]) - 0.2


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 5e-3), ("bf16", 5e-2)])
def test_validation_asks_the_matcher(towns, tmp_path, precision, tolerance):
    """The best model is the one whose answers are best, and those are the matcher's."""
    town = open_dataset(towns / "a")
    run = tmp_path / "run"
    words = (*SETTINGS, "epochs=1", "val_split=val", "validate_every=1", f"precision={precision}")
    train(train_config("best", None, words), town, run)
    with (run / "metrics.csv").open() as file:
        found = {row["name"]: float(row["value"]) for row in csv.DictReader(file)}
    model = ZoomModel.from_pretrained(run / "models" / "last")
    localizer = Localizer(model, town.map, town.grid, search="posterior", decision="top")
    config, records = model.config, town.split("val")
    photos = torch.stack([halves(to_tensor(wide_photo(town.photos.read(i), i, config.image_pixels, config.photo_decode)))
                          for i in records.image_ids])
    log_probs = localizer.log_probs(photos)
    true = town.grid.flatten(town.sequences("val"))
    assert found["val_nll"] == pytest.approx(-log_probs[np.arange(len(true)), true].mean(), abs=tolerance)


def test_the_zoomer_learns_beside_the_matcher_and_moves_nothing_of_it(towns, tmp_path):
    found = []
    for weight in (0, 1):
        train(train_config("best", None, (*SETTINGS, "clip_norm=0", f"matching.zoom_weight={weight}", "matching.mirror=0.3")),
              open_datasets([towns]), tmp_path / str(weight))
        found.append(weights(tmp_path / str(weight)))
    moved = {name for name in found[0] if not torch.equal(found[0][name], found[1][name])}
    own = {name for name in moved if name.startswith("encoder.backbone.layernorm.")}  # of the zoomer's vectors alone
    assert {name.split(".")[0] for name in moved - own} == {"decoder"}


def test_with_encoders_of_their_own_the_loss_of_one_moves_nothing_of_the_other(towns, tmp_path):
    """The zoomer's loss moves the zoomer's encoder, and the matcher's own encoder not at all."""
    found = []
    for weight in (0, 1):
        words = ("clip_norm=0", f"matching.zoom_weight={weight}", "matching.mirror=0.3", "model.matcher.own_encoder=true")
        train(train_config("best", None, (*SETTINGS, *words)), open_datasets([towns]), tmp_path / str(weight))
        found.append(weights(tmp_path / str(weight)))
    moved = {name.split(".")[0] for name in found[0] if not torch.equal(found[0][name], found[1][name])}
    assert moved == {"encoder", "decoder"}
    learned = {name for name in found[0] if name.startswith("matcher_encoder.")}
    assert learned and any(not torch.equal(found[0][name], found[0][name.removeprefix("matcher_")]) for name in learned)


def test_a_zoomer_that_is_there_is_kept(towns, tmp_path):
    """A matcher with an encoder of its own is put beside it, and starts from what the zoomer's encoder knows."""
    zoomer = tmp_path / "zoomer" / "models" / "last"
    plain = [s for s in SETTINGS if "matcher" not in s and "matching" not in s]
    train(train_config("small", None, (*plain, "epochs=1")), open_datasets([towns]), zoomer.parents[1])
    words = (f"init={zoomer}", "model.matcher.own_encoder=true", "matching.zoom_weight=0")
    first = train_config("best", None, (*SETTINGS, *words, "learning_rate=1e-12"))
    for name, config in (("first", first), ("run", train_config("best", None, (*SETTINGS, *words)))):
        train(config, open_datasets([towns]), tmp_path / name)
    before, first, after = load_file(zoomer / "model.safetensors"), weights(tmp_path / "first"), weights(tmp_path / "run")
    assert all(torch.equal(before[name], after[name]) for name in before)
    record = ZoomModel.from_pretrained(tmp_path / "run" / "models" / "last").provenance
    assert record["zoomer_trained"] is False
    assert record["started_from"]["maps"] == record["maps"] and "config" not in record["started_from"]
    encoder = [name for name in before if name.startswith("encoder.")]
    assert all(torch.allclose(before[name], first[f"matcher_{name}"], atol=1e-9) for name in encoder)
    assert any(not torch.equal(before[name], after[f"matcher_{name}"]) for name in encoder)


def test_a_kept_prefix_is_refused(towns, tmp_path):
    with pytest.raises(ModelError, match="prefix_cache"):
        train(train_config("best", None, (*SETTINGS, "prefix_cache=memory")), open_datasets([towns]), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_light_changes_each_picture_by_itself_and_stays_in_range():
    torch.manual_seed(0)
    pictures = torch.full((4, 3, 8, 8), 200.0)
    changed = change_light(pictures, 0.25)
    assert len({round(float(p.mean()), 3) for p in changed}) == 4
    assert changed.min() >= 0
    assert changed.max() <= 255
    assert change_light(pictures, 0.0) is pictures
