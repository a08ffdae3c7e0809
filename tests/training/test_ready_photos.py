"""Training on ready photos is training on the photos, which may then be gone."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from fakes import make_repository
from justzoomin.data import ReadyKind, make_ready, open_dataset
from justzoomin.errors import DataError
from justzoomin.training import load_config, train, train_config

QUICK = ("epochs=1", "batch_size=4", "model.image_pixels=32", "accelerator=cpu",
         "model.encoder.architecture.hidden_sizes=[8, 16, 24]", "model.encoder.architecture.depths=[1, 1, 1]")


def test_a_run_on_ready_photos_ends_the_same_without_the_photos(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "town", pixels=32, train=9, val=5, extracted=True)
    dataset, ready = open_dataset(repository), tmp_path / "ready"
    words = (*QUICK, f"ready_photos={ready}")
    train(train_config("small", None, QUICK), dataset, tmp_path / "photos")
    with pytest.raises(DataError, match="jzi data ready"):
        train(train_config("small", None, words), dataset, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    for split in ("train", "val"):
        make_ready(dataset.photos, dataset.split(split).image_ids, ReadyKind(split, 32, "scaled"), ready)
    shutil.rmtree(repository / "streetview" / "images")
    (repository / "streetview" / "images").mkdir()
    train(train_config("small", None, words), open_dataset(repository), tmp_path / "ready-run")
    assert load_config(tmp_path / "ready-run" / "config.yaml").ready_photos == str(ready)
    one, two = (load_file(tmp_path / name / "models" / "last" / "model.safetensors") for name in ("photos", "ready-run"))
    assert all(torch.equal(tensor, two[key]) for key, tensor in one.items())
