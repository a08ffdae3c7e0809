"""Training on several maps: numbers, what is trained on and validated on, resuming, refusals."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.utils.data import DataLoader

from fakes import make_repository
from justzoomin.data import (
    JoinedDataset,
    PhotoPlaces,
    ReadyKind,
    ResumableBatchSampler,
    collate,
    make_ready,
    open_dataset,
    open_datasets,
)
from justzoomin.errors import DataError
from justzoomin.geometry import view_count
from justzoomin.models import ZoomModel
from justzoomin.training import TrainConfig, train, train_config
from justzoomin.training.viewpixels import ViewPixels

SETTINGS = ("epochs=2", "batch_size=4", "save_every=1", "log_every=1", "model.image_pixels=32", "learning_rate=0.01",
            "model.encoder.architecture.hidden_sizes=[8, 16, 24]", "model.encoder.architecture.depths=[1, 1, 1]",
            "accelerator=cpu", "augment.enabled=true", "batch_places=3", "validate_every=1")


def settings(*more: str) -> TrainConfig:
    return train_config("small", None, (*SETTINGS, *more))


@pytest.fixture(scope="module")
def towns(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three towns in one folder; the last has no photos to train on."""
    folder = tmp_path_factory.mktemp("towns")
    for number, name in enumerate(("a", "b", "c")):
        make_repository(folder / name, train=7, val=3, pixels=32, seed=number, lat=54.5 + number / 10)
    (folder / "c" / "metadata" / "large_area_train_map.csv").unlink()
    return folder


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "models" / "last" / "model.safetensors")


def joined(towns: Path) -> JoinedDataset:
    return JoinedDataset([open_dataset(towns / name).torch_dataset("train", 32) for name in "ab"], [0, 1])


def test_samples_of_a_later_map_differ_from_its_own_by_its_number_alone(towns: Path) -> None:
    both, own = joined(towns), open_dataset(towns / "b").torch_dataset("train", 32)
    stride = view_count(own.views.grid)
    for row in range(len(own)):
        sample, alone = both[7 + row], own[row]
        assert (sample["map"], sample["index"]) == (1, 7 + row)
        assert torch.equal(sample["view_ids"], alone["view_ids"] + stride)
        assert torch.equal(sample["wide"], alone["wide"])
        assert torch.equal(sample["position"], alone["position"])
    assert (both.map_numbers == [0] * 7 + [1] * 7).all()


def test_numbers_of_a_mixed_batch_lead_to_the_pixels_of_the_right_map(towns: Path) -> None:
    both = joined(towns)
    batch = next(iter(DataLoader(both, batch_size=14, collate_fn=collate)))
    pixels = ViewPixels(*(part.views for part in both.parts))(batch["view_ids"], torch.device("cpu"))
    assert torch.equal(pixels, batch["views"])
    roots = (batch["view_ids"] % both.stride == 0).nonzero().flatten()
    assert len(roots) == 2
    assert not torch.equal(pixels[roots[0]], pixels[roots[1]])


def test_one_map_given_as_a_list_is_the_run_on_that_map(towns: Path, tmp_path: Path) -> None:
    dataset = open_dataset(towns / "a")
    train(settings(), dataset, tmp_path / "one")
    train(settings(), [dataset], tmp_path / "list")
    assert all(torch.equal(t, weights(tmp_path / "list")[k]) for k, t in weights(tmp_path / "one").items())


@pytest.mark.parametrize("stop", [2, 5])
def test_a_run_on_two_maps_resumes_exactly(towns: Path, tmp_path: Path, stop: int) -> None:
    datasets = [open_dataset(towns / name) for name in "ab"]
    train(settings(), datasets, tmp_path / "whole")
    train(settings(), datasets, tmp_path / "cut", stop_after=stop)
    assert any(not torch.equal(t, weights(tmp_path / "cut")[k]) for k, t in weights(tmp_path / "whole").items())
    train(settings(), datasets, tmp_path / "cut", resume=True)
    assert all(torch.equal(t, weights(tmp_path / "cut")[k]) for k, t in weights(tmp_path / "whole").items())
    rows = [(tmp_path / name / "metrics.csv").read_text() for name in ("whole", "cut")]
    assert rows[0] == rows[1]


def test_a_map_held_out_whole_is_what_is_validated_on(towns: Path, tmp_path: Path) -> None:
    datasets = open_datasets([towns])
    assert [d.root.name for d in datasets] == ["a", "b", "c"]
    train(settings("epochs=1"), datasets, tmp_path / "run")
    made = json.loads((tmp_path / "run" / "models" / "best" / "provenance.json").read_text())
    assert [row["data"] for row in made["maps"]] == ["a", "b"]
    assert [row["train_split_hash"] for row in made["maps"]] == [d.split_hash("train") for d in datasets[:2]]
    assert [row["map_hash"] for row in made["maps"]] == [d.map.fingerprint() for d in datasets[:2]]
    for row, dataset in zip(made["maps"], datasets, strict=False):
        places, photos = PhotoPlaces.from_dict(row["places"]), dataset.split("train")
        assert places is not None and places.near(photos.lat, photos.lon, 7.1).all()  # the centre of a part of 10 m
    assert (made["validated_on"], made["photos"]) == (["c"], 14)
    assert ZoomModel.from_pretrained(tmp_path / "run" / "models" / "best").grid == datasets[0].grid


def test_views_of_every_root_are_left_alone(towns: Path) -> None:
    from justzoomin.training import ZoomTask

    both, config = joined(towns), settings("augment.jpeg_p=0", "augment.jitter_p=1", "augment.brightness=0.9")
    model = ZoomModel(config.model).eval()
    task = ZoomTask(model, config, [part.views for part in both.parts], 10)
    batch = collate([both[k] for k in (0, 8)])
    seen: list[torch.Tensor] = []
    plain = model.encode_views
    model.encode_views = lambda views: (seen.append(views), plain(views))[1]
    task._view_vectors(batch, 3)
    from justzoomin.data import normalize

    same = (seen[0] - normalize(batch["views"].float() / 255, config.model.mean, config.model.std)).abs().amax((1, 2, 3)) < 1e-5
    assert (same == (batch["view_ids"] % both.stride == 0)).all()


def test_runs_of_nearby_photos_lie_in_one_map(towns: Path) -> None:
    maps = np.repeat([0, 1], 8)
    paths = np.stack([maps * 100, maps * 100 + 1 + np.tile(np.arange(8), 2)], 1)
    sampler = ResumableBatchSampler(16, 8, 0, paths=paths, places=2)
    for epoch in range(3):
        sampler.set_epoch(epoch)
        order = [draw.photo for batch in sampler for draw in batch]
        assert sorted(order) == list(range(16))
        assert int((np.diff(maps[order]) != 0).sum()) <= 5


def test_ready_photos_of_each_map_lie_in_a_folder_of_its_name(towns: Path, tmp_path: Path) -> None:
    datasets = [open_dataset(towns / name) for name in "ab"]
    plain = ("epochs=1", "augment.enabled=false")
    train(settings(*plain), datasets, tmp_path / "photos")
    for dataset in datasets:
        for split in ("train", "val"):
            make_ready(dataset.photos, dataset.split(split).image_ids, ReadyKind(split, 32, "scaled"),
                       tmp_path / "ready" / dataset.root.name)
    train(settings(*plain, f"ready_photos={tmp_path / 'ready'}"), datasets, tmp_path / "run")
    assert all(torch.equal(t, weights(tmp_path / "run")[k]) for k, t in weights(tmp_path / "photos").items())


def test_maps_that_cannot_go_together_are_refused(towns: Path, tmp_path: Path) -> None:
    other = make_repository(tmp_path / "deep", depth=3, train=3, val=2, pixels=32)
    with pytest.raises(DataError, match=r"4 x 4, 3 levels deep, but that of .*a is 4 x 4, 2 levels deep"):
        train(settings(), [open_dataset(towns / "a"), open_dataset(other)], tmp_path / "run")
    bare = shutil.copytree(towns / "c", tmp_path / "bare")
    (bare / "metadata" / "large_area_val_map.csv").rename(bare / "metadata" / "large_area_test_map.csv")
    with pytest.raises(DataError, match="bare: it has no split called 'train' and no split called 'val'"):
        train(settings(), [open_dataset(towns / "a"), open_dataset(bare)], tmp_path / "run")
    with pytest.raises(DataError, match="given twice"):
        open_datasets([towns, towns / "b"])
    with pytest.raises(DataError, match="one region is given"):
        open_datasets([towns], open_dataset(towns / "a").grid)
    assert not (tmp_path / "run").exists()


def test_resuming_on_another_set_of_maps_is_refused(towns: Path, tmp_path: Path) -> None:
    from justzoomin.errors import TrainingError

    datasets = [open_dataset(towns / name) for name in "ab"]
    train(settings(), datasets, tmp_path / "run", stop_after=2)
    with pytest.raises(TrainingError, match="a training split that differs"):
        train(settings(), datasets[::-1], tmp_path / "run", resume=True)


def test_the_command_takes_a_folder_of_datasets_and_several_of_them(towns: Path, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from justzoomin.apps.main import app

    words = [part for word in (*SETTINGS, "epochs=1") for part in ("--set", word)]
    for name, data in (("folder", ["--data", str(towns)]), ("each", [p for n in "abc" for p in ("--data", str(towns / n))])):
        result = CliRunner().invoke(app, ["train", *data, "--preset", "small", "--out", str(tmp_path / name), *words])
        assert result.exit_code == 0, result.output
    assert all(torch.equal(t, weights(tmp_path / "each")[k]) for k, t in weights(tmp_path / "folder").items())
