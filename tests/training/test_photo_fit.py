"""A model that uses cameras: it is trained, stored and evaluated with photos in its frame."""

from pathlib import Path

import pytest
import torch

from fakes import make_repository
from justzoomin.apps.shared.camera_options import cameras_from_option
from justzoomin.data import CameraSource, Frame, PhotoCamera, halves, open_dataset, stated_camera
from justzoomin.errors import ConfigError
from justzoomin.evaluation import evaluate
from justzoomin.evaluation.batches import photo_batches
from justzoomin.models import open_model
from justzoomin.training import train, train_config

QUICK = ("epochs=1", "batch_size=4", "model.image_pixels=32", "accelerator=cpu", "augment.enabled=true",
         "model.encoder.architecture.hidden_sizes=[8, 16, 24]", "model.encoder.architecture.depths=[1, 1, 1]")


def test_training_and_evaluation_see_the_same_photos(tmp_path: Path) -> None:
    dataset = open_dataset(make_repository(tmp_path / "town", pixels=32, train=6, val=4))
    ids = dataset.split("val").image_ids
    (dataset.root / "streetview").mkdir(exist_ok=True)
    (dataset.root / "streetview" / "metadata.csv").write_text(f"image_id,hfov_deg,roll_deg\n{ids[0]},100,4\n{ids[1]},40,0\n")
    squeezing = train(train_config("small", None, QUICK), dataset, tmp_path / "first")
    assert open_model(squeezing, device="cpu").config.photo_fit == "squeeze"
    with pytest.warns(UserWarning, match="crop_scale is not used"):
        words = (*QUICK, f"init={squeezing}", "model.photo_fit=crop")
        best = train(train_config("small", None, words), dataset, tmp_path / "second")
    model = open_model(best, device="cpu")
    assert model.config.photo_fit == "crop" and model.config.frame == Frame("crop", 75.0)
    samples = dataset.torch_dataset("val", 32, frame=model.config.frame)
    trained_on = halves(torch.stack([samples[row]["wide"] for row in range(4)]))
    pairs = torch.cat(list(photo_batches(model.config, dataset, ids, 3)))
    assert torch.equal(pairs, trained_on)
    told = torch.cat(list(photo_batches(model.config, dataset, ids, 3, PhotoCamera(60.0))))
    assert torch.equal(told[:2], pairs[:2]) and not torch.equal(told[2:], pairs[2:])  # the table comes before the option
    one, two = (evaluate(model, dataset, "val", search="posterior", cameras=cameras).table.ranking.true_log_prob
                for cameras in (None, CameraSource(stated_camera(60.0))))
    assert list(one[:2]) == pytest.approx(list(two[:2])) and list(one[2:]) != pytest.approx(list(two[2:]))


def test_a_matcher_trained_alone_is_validated_with_what_the_whole_model_sees(tmp_path: Path) -> None:
    dataset = open_dataset(make_repository(tmp_path / "town", pixels=32, train=6, val=4))
    words = (*QUICK, "augment.enabled=false", "validate_every=1", "model.matcher.photo_fit=crop",
             "model.matcher.own_encoder=true", "model.matcher.zoom_weight=1", "matching.zoom_weight=0",
             "matching.forget_tilt=0.5")
    out = tmp_path / "run"
    model = open_model(train(train_config("best", None, words), dataset, out), device="cpu")
    assert model.config.frame.parts == (Frame("squeeze", 75.0), Frame("crop", 75.0))
    logged = [line.split(",") for line in (out / "metrics.csv").read_text().splitlines()]
    assert [name for *_, name, _ in logged].count("val_recall_40m") == 1


def test_cameras_are_forgotten_for_a_share_of_the_photos_and_anew_in_each_epoch(tmp_path: Path) -> None:
    dataset = open_dataset(make_repository(tmp_path / "town", pixels=32, train=40, val=1))
    ids = dataset.split("train").image_ids
    rows = "".join(f"{image_id},60,8,5\n" for image_id in ids[1:])
    (dataset.root / "streetview").mkdir(exist_ok=True)
    (dataset.root / "streetview" / "metadata.csv").write_text(f"image_id,hfov_deg,pitch_deg,roll_deg\n{rows}")
    samples = dataset.torch_dataset("train", 32, frame=Frame("crop", 75.0))

    def seen(epoch: int, forget: tuple[float, float] = (0.0, 0.0),
             cameras: dict[str, PhotoCamera] | None = None) -> torch.Tensor:
        samples.forget, samples.cameras = forget, dataset.cameras(ids) if cameras is None else cameras
        return torch.stack([samples[row, epoch]["wide"] for row in range(len(ids))])

    known, unknown = seen(0), seen(0, cameras={})
    level = seen(0, cameras={image_id: PhotoCamera(60.0) for image_id in ids[1:]})
    assert torch.equal(seen(3, (1.0, 0.0)), level) and torch.equal(seen(3, (0.0, 1.0)), unknown)
    mixed = seen(0, (0.4, 0.3))
    kinds = [[torch.equal(one[row], mixed[row]) for row in range(1, len(ids))] for one in (known, level, unknown)]
    assert all(sum(column) == 1 for column in zip(*kinds, strict=True)) and all(5 < sum(kind) < 25 for kind in kinds)
    assert torch.equal(seen(0, (0.4, 0.3)), mixed) and not torch.equal(seen(1, (0.4, 0.3)), mixed)


@pytest.mark.parametrize("words", [("matching.forget_tilt=0.7", "matching.forget_camera=0.4"), ("matching.forget_tilt=-0.1",)])
def test_shares_of_forgotten_cameras_are_shares(words: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="forget_tilt"):
        train_config("best", None, words)


def test_a_model_that_uses_no_cameras_cannot_forget_them(tmp_path: Path) -> None:
    dataset = open_dataset(make_repository(tmp_path / "town", pixels=32, train=6, val=4))
    for preset, out in (("best", "a"), ("small", "b")):
        with pytest.raises(ConfigError, match="uses no cameras"):
            words = (*QUICK, "augment.enabled=false", "matching.forget_tilt=0.5")
            train(train_config(preset, None, words), dataset, tmp_path / out)


@pytest.mark.parametrize(("fov", "words"), [(0.0, "--fov 0"), (-3.0, "--fov -3"), (180.0, "--fov 180"), (360.0, "panoramas")])
def test_a_field_of_view_that_cannot_be_used_is_refused(fov: float, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        cameras_from_option(fov, panoramas=False)
    assert cameras_from_option(None) is None
    found = cameras_from_option(360.0)
    assert found is not None and found.every is not None and found.every.kind == "equirectangular"
