"""A ray matcher that is supervised by a town's labels, and the wrong poses that it is taught with."""

import pytest
import torch
from safetensors.torch import load_file

pytest.importorskip("embreex", reason="the synthetic city needs the extra 'synth'")

from justzoomin.city import LABELS_FILE, CityConfig, TownLabels, build_city
from justzoomin.data import open_dataset
from justzoomin.errors import DataError
from justzoomin.models import Ground, MatcherConfig, RayMatcher, build_model, open_model
from justzoomin.search import Localizer
from justzoomin.training import train, train_config
from justzoomin.training.maps import TrainingMaps
from justzoomin.training.supervision import Supervision
from justzoomin.training.wrong_poses import Poses, scored

SETTINGS = ("epochs=2", "batch_size=8", "save_every=1", "log_every=1", "model.image_pixels=32", "learning_rate=0.003",
            "model.encoder.architecture.hidden_sizes=[8, 16, 24]", "model.encoder.architecture.depths=[1, 1, 1]",
            "accelerator=cpu", "val_split=null", "matching.poses=64", "model.matcher.window_m=80", "model.matcher.margin_m=10",
            "model.matcher.metres_per_pixel=1", "model.matcher.channels=4", "model.matcher.width=8", "model.matcher.reach_m=20",
            "matching.zoom_weight=0", "matching.supervision=0.5")


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    config = CityConfig(seed=5, size_m=80.0, photos=18, val_photos=3, photo_width=64, photo_height=32, gsd_m=0.5, depth=2,
                        workers=1)
    return build_city(tmp_path_factory.mktemp("labelled") / "town", config, labels=True)


def test_it_trains_resumes_exactly_and_leaves_no_probe_in_the_model(town, tmp_path):
    dataset = open_dataset(town)
    config = train_config("best", None, (*SETTINGS, "matching.drawn=96"))
    whole = train(config, dataset, tmp_path / "whole")
    train(config, dataset, tmp_path / "halved", stop_after=3)
    again = train(config, dataset, tmp_path / "halved", resume=True)
    one, two = (load_file(folder / "model.safetensors") for folder in (whole, again))
    assert one.keys() == two.keys() == build_model(config.model).state_dict().keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
    plain = train(train_config("best", None, (*SETTINGS, "matching.supervision=0")), dataset, tmp_path / "plain")
    other = load_file(plain / "model.safetensors")
    assert any(not torch.equal(one[name], other[name]) for name in one)


@torch.no_grad()
def test_labels_turn_and_mirror_with_the_picture(town):
    config = train_config("best", None, SETTINGS)
    model = build_model(config.model, seed=1)
    maps = TrainingMaps.of(config, [open_dataset(town)])
    windows = maps.windows(model.matcher.config)
    torch.manual_seed(0)
    taught = Supervision(model.matcher, maps.labels("train"), windows, [18])
    features = torch.randn(1, 8, 25, 25)
    losses = []
    for mirrored in (False, True):
        for turns in range(4):
            moved = (features.flip(-1) if mirrored else features).rot90(-turns, (2, 3))
            taught._features["map"] = moved
            losses.append(float(taught.of_piece(0, 0, mirrored, turns)))
    assert losses == pytest.approx([losses[0]] * 8, abs=1e-5)
    taught._features["map"] = features.flip(-1)
    assert abs(float(taught.of_piece(0, 0, False, 0)) - losses[0]) > 1e-4
    shown = torch.randn(3, 8, 8, 8)
    taught._features["photos"] = shown
    plain = taught.of_photos([0, 0, 0], [0, 5, 17], mirrored=False)
    taught._features["photos"] = shown.flip(-1)
    assert taught.of_photos([0, 0, 0], [0, 5, 17], mirrored=True) == pytest.approx(plain, abs=1e-5)


def test_missing_or_foreign_labels_are_refused(town, tmp_path):
    config = train_config("best", None, SETTINGS)
    dataset = open_dataset(town)
    labels = TownLabels.load(town)
    matcher = build_model(config.model).matcher
    with pytest.raises(DataError, match="labels of 17 photos, but the split has 18"):
        Supervision(matcher, [TownLabels(labels.kinds, labels.heights, labels.ranges[1:], labels.seen[1:])],
                    TrainingMaps.of(config, [dataset]).windows(matcher.config), [18])
    (town / LABELS_FILE).rename(tmp_path / LABELS_FILE)
    try:
        with pytest.raises(DataError, match="labels cannot be read"):
            train(config, dataset, tmp_path / "run")
        assert not (tmp_path / "run").exists()
    finally:
        (tmp_path / LABELS_FILE).rename(town / LABELS_FILE)


@pytest.fixture
def piece():
    torch.manual_seed(3)
    matcher = RayMatcher(MatcherConfig(channels=4, ranges=3, reach_m=20.0, width=8), (8,), 4, 16)
    ground = Ground(torch.randn(4, 30, 30, requires_grad=True), torch.randn(16, 30, 30, requires_grad=True))
    poses = Poses(torch.rand(40) * 70, torch.rand(40) * 70, torch.rand(40) * 6.28)
    return matcher, ground, poses, torch.rand(5, 40) < 0.2


def test_poses_that_do_not_teach_count_as_much(piece):
    matcher, ground, poses, close = piece
    fans = torch.randn(5, matcher.size, requires_grad=True)
    every, some = (scored(matcher, ground, fans, poses, close, exact) for exact in (40, 10))
    assert torch.allclose(every, some, atol=1e-5)
    on_fans = [torch.autograd.grad(found.sum(), (fans, ground.places), retain_graph=True) for found in (every, some)]
    assert torch.allclose(on_fans[0][0], on_fans[1][0], atol=1e-5)
    whole, part = (grads[1] for grads in on_fans)
    assert float((whole * part).sum()) > 0 and float(part.norm()) < float(whole.norm())
    assert float((every - some).abs().max()) < 1e-5
    assert torch.isneginf(scored(matcher, ground, fans, poses, torch.ones(5, 40, dtype=torch.bool), 10)).all()


def test_a_matcher_can_see_larger_photos_than_the_zoomer(town, tmp_path):
    words = (*SETTINGS, "model.matcher.photo_scale=2", "model.matcher.own_encoder=true", "epochs=1")
    folder = train(train_config("best", None, words), open_dataset(town), tmp_path / "run")
    model = open_model(folder).eval()
    assert (model.config.image_pixels, model.config.photo_pixels, model.matcher.rays) == (32, 64, 16)
    photos = torch.randn(2, 2, 3, 64, 64)
    with torch.no_grad():
        found = model.encode_photos(photos)
        reduced = torch.nn.functional.avg_pool2d(photos.flatten(0, 1), 2)
        assert torch.allclose(found[:, :model.encoder.width], model.encoder(reduced).view(2, 2, -1).mean(1), atol=1e-5)
        assert torch.equal(model.fans(found), model.photo_fans(photos))
    image_id = open_dataset(town).split("val").image_ids[0]
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(open_dataset(town).photos.read(image_id))
    assert Localizer.load(folder, town).localize(photo).lat == pytest.approx(54.5, abs=0.01)
    grown = train(train_config("best", None, (*SETTINGS, f"init={folder}", "model.matcher.photo_scale=4", "epochs=1")),
                  open_dataset(town), tmp_path / "grown")
    assert open_model(grown).matcher.rows == 32


def test_models_without_that_setting_keep_their_fingerprint():
    config = train_config("best", None, SETTINGS).model
    assert "photo_scale" not in config.identity()
    larger = config.model_copy(update={"matcher": config.matcher.model_copy(update={"photo_scale": 2})})
    assert "photo_scale" in larger.identity()
