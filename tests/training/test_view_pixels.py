"""Views fetched by number in the training process are those that the loader would have sent."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.utils.data import DataLoader

from fakes import make_repository
from justzoomin.data import collate, open_dataset
from justzoomin.geometry import view_count, view_sequence
from justzoomin.maps import GridViews
from justzoomin.training import run, train, train_config
from justzoomin.training.viewpixels import ViewPixels

QUICK = ("epochs=1", "batch_size=4", "model.image_pixels=32", "accelerator=cpu", "val_split=null", "augment.enabled=true",
         "model.encoder.architecture.hidden_sizes=[8, 16, 24]", "model.encoder.architecture.depths=[1, 1, 1]")


class KeptViews(GridViews):
    """Views that are all there, as those of a view cache."""

    cached = True
    sent = 0

    def batch(self, numbers: np.ndarray) -> np.ndarray:
        KeptViews.sent += 1
        return np.stack([self.get(view_sequence(self.grid, int(n))) for n in numbers])


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_repository(tmp_path_factory.mktemp("views") / "town", pixels=32, train=10, val=2)


@pytest.mark.parametrize("kind", [GridViews, KeptViews])
def test_numbers_lead_to_the_pixels_of_the_batch(repository: Path, kind: type[GridViews]) -> None:
    dataset = open_dataset(repository)
    full, bare = (dataset.torch_dataset("train", 32, views=kind(dataset.map, dataset.grid, 32)) for _ in range(2))
    bare.with_views = False
    one, other = (next(iter(DataLoader(samples, batch_size=7, collate_fn=collate))) for samples in (full, bare))
    assert other["views"].shape == (0, 3, 32, 32)
    assert torch.equal(ViewPixels(bare.views)(other["view_ids"], torch.device("cpu")), one["views"])
    assert all(torch.equal(one[key], other[key]) for key in one if key != "views")
    every = torch.arange(view_count(dataset.grid))
    assert ViewPixels(bare.views)(every, torch.device("cpu")).shape == (len(every), 3, 32, 32)


def test_a_run_with_kept_views_ends_as_one_without(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(train_config("small", None, QUICK), open_dataset(repository), tmp_path / "drawn")
    monkeypatch.setattr(run, "GridViews", KeptViews)
    train(train_config("small", None, QUICK), open_dataset(repository), tmp_path / "kept")
    assert KeptViews.sent >= 3
    one, two = (load_file(tmp_path / name / "models" / "last" / "model.safetensors") for name in ("drawn", "kept"))
    for key, tensor in one.items():
        assert torch.allclose(two[key], tensor, atol=1e-5), key
