"""A run that was interrupted, however rudely, ends exactly like one that was not."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from fakes import make_repository
from justzoomin.data import open_dataset
from justzoomin.errors import TrainingError
from justzoomin.training import TrainConfig, train, train_config

SETTINGS = ("epochs=3", "batch_size=4", "save_every=1", "log_every=1", "model.image_pixels=32", "learning_rate=0.01",
            "model.encoder.architecture.hidden_sizes=[8, 16, 24]", "model.encoder.architecture.depths=[1, 1, 1]",
            "accelerator=cpu", "augment.enabled=true", "augment.crop_scale=[0.7, 1.0]")


def settings(*more: str) -> TrainConfig:
    return train_config("small", None, (*SETTINGS, *more))


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_repository(tmp_path_factory.mktemp("repository") / "town", train=18, val=5, pixels=32)


@pytest.fixture(scope="module")
def whole(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "run"
    train(settings(), open_dataset(repository), out)
    return out


def weights(run: Path, name: str = "last") -> dict[str, torch.Tensor]:
    return load_file(run / "models" / name / "model.safetensors")


def logged(run: Path) -> list[list[str]]:
    with (run / "metrics.csv").open(newline="") as file:
        return list(csv.reader(file))


def assert_same_run(left: Path, right: Path) -> None:
    for name in ("last", "best"):
        one, other = weights(left, name), weights(right, name)
        assert one.keys() == other.keys()
        for key, tensor in one.items():
            assert torch.equal(tensor, other[key]), key
    assert logged(left) == logged(right)


def test_training_changes_weights_and_logs(whole: Path, repository: Path) -> None:
    names = {row[2] for row in logged(whole)[1:]}
    assert {"loss", "val_recall_40m", "val_median_m", "val_recall_1", "val_nll"} <= names
    losses = [float(row[3]) for row in logged(whole)[1:] if row[2] == "loss"]
    assert len(losses) == 15  # 18 photos in batches of 4, three epochs
    assert losses[-1] < losses[0]
    for name in ("config.yaml", "environment.json", "state.ckpt", "models/best/model.safetensors", "models/last/region.yaml"):
        assert (whole / name).is_file(), name
    assert json.loads((whole / "environment.json").read_text())["compute"].startswith("cpu: ")
    assert any((whole / "tensorboard").iterdir())


def test_the_same_seed_repeats_and_another_does_not(whole: Path, repository: Path, tmp_path: Path) -> None:
    train(settings(), open_dataset(repository), tmp_path / "again")
    assert_same_run(whole, tmp_path / "again")
    train(settings("seed=1", "epochs=1"), open_dataset(repository), tmp_path / "other")
    other = weights(tmp_path / "other")
    assert any(not torch.equal(tensor, other[key]) for key, tensor in weights(whole).items())


@pytest.mark.parametrize("stop", [3, 5, 8])
def test_resumed_equals_uninterrupted(whole: Path, repository: Path, tmp_path: Path, stop: int) -> None:
    """Stopped within the first epoch, at its end, and within the second."""
    out = tmp_path / "run"
    train(settings(), open_dataset(repository), out, stop_after=stop)
    assert not any(torch.equal(a, b) for a, b in zip(weights(out).values(), weights(whole).values(), strict=True)
                   if a.dim() > 1)
    train(settings(), open_dataset(repository), out, resume=True)
    assert_same_run(whole, out)


def test_workers_and_accumulation_change_nothing_about_resuming(repository: Path, tmp_path: Path) -> None:
    more = ("accumulate=2", "workers=1", "epochs=2")
    train(settings(*more), open_dataset(repository), tmp_path / "whole")
    train(settings(*more), open_dataset(repository), tmp_path / "cut", stop_after=2)
    train(settings(*more), open_dataset(repository), tmp_path / "cut", resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "cut")


def test_killed_run_resumes_exactly(whole: Path, repository: Path, tmp_path: Path) -> None:
    """SIGKILL in the middle of a step: the state on disk is whole, and the run ends like the uninterrupted one."""
    out = tmp_path / "run"
    command = [sys.executable, "-m", "justzoomin.apps.main", "train", "--data", str(repository), "--out", str(out),
               "--preset", "small", *(part for s in SETTINGS for part in ("--set", s))]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL,
                               env={**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())})  # sums depend on it
    deadline = time.monotonic() + 120
    while not (out / "state.ckpt").exists():
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline, "no state was saved"
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    train(settings(), open_dataset(repository), out, resume=True)
    assert_same_run(whole, out)


def test_a_run_is_not_resumed_on_other_photos(repository: Path, tmp_path: Path) -> None:
    train(settings(), open_dataset(repository), tmp_path / "run", stop_after=3)
    other = make_repository(tmp_path / "other", train=18, val=5, pixels=32, seed=1)
    with pytest.raises(TrainingError, match="a training split that differs"):
        train(settings(), open_dataset(other), tmp_path / "run", resume=True)
