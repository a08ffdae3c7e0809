"""Training on several processes ends as training on one does with the same global batch."""

import csv
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from fakes import make_repository
from justzoomin.data import open_dataset
from justzoomin.models import build_model
from justzoomin.training import load_config, train, train_config

SETTINGS = ("epochs=2", "model.image_pixels=32", "accelerator=cpu", "model.decoder.dropout=0", "augment.enabled=false",
            "model.encoder.architecture.hidden_sizes=[8, 16, 24]", "model.encoder.architecture.depths=[1, 1, 1]",
            "model.decoder.blocks=1", "validate_every=1", "log_every=1", "learning_rate=0.001", "precision=fp32")


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def train_on_two(repository: Path, out: Path, *words: str, preset: str = "small") -> None:
    """The environment that torchrun gives, without its agent: two processes on this machine."""
    command = [sys.executable, "-m", "justzoomin.apps.main", "train", "--data", str(repository), "--out", str(out), "--preset",
               preset, *(part for s in (*SETTINGS, *words, "devices=2") for part in ("--set", s))]
    shared = {**os.environ, "OMP_NUM_THREADS": "1", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1",
              "MASTER_PORT": str(free_port()), "GROUP_RANK": "0", "TORCHELASTIC_RUN_ID": "test"}
    running = [subprocess.Popen(command, env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)}, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for rank in range(2)]
    try:
        texts = [process.communicate(timeout=240)[0] for process in running]
    finally:
        for process in running:
            process.kill()
    assert [process.returncode for process in running] == [0, 0], texts


def figures(run: Path) -> dict[tuple[str, str, str], float]:
    with (run / "metrics.csv").open(newline="") as file:
        return {(row[0], row[1], row[2]): float(row[3]) for row in list(csv.reader(file))[1:] if row[2] != "loss"}


@pytest.mark.parametrize("words", [("accumulate=1",), ("accumulate=2", "batch_places=2")], ids=["plain", "accumulated, nearby"])
def test_two_processes_end_as_one(tmp_path: Path, words: tuple[str, ...]) -> None:
    """21 photos in steps of 6 or 12: the last one has 3, or 6 and 3, which two cannot share evenly; 7 photos to validate."""
    repository = make_repository(tmp_path / "town", pixels=32, train=21, val=7)
    train_on_two(repository, tmp_path / "two", "batch_size=3", *words)
    train(train_config("small", None, (*SETTINGS, "batch_size=6", *words)), open_dataset(repository), tmp_path / "one")
    one, two = (load_file(tmp_path / name / "models" / "last" / "model.safetensors") for name in ("one", "two"))
    assert one.keys() == two.keys()
    for key, tensor in one.items():
        torch.testing.assert_close(two[key], tensor, rtol=1e-5, atol=1e-5, msg=lambda m, key=key: f"{key}: {m}")
    alone, together = figures(tmp_path / "one"), figures(tmp_path / "two")
    assert alone.keys() == together.keys() and len({name for _, _, name in alone}) >= 5
    for key, value in alone.items():
        assert together[key] == pytest.approx(value, rel=1e-4), key


def test_a_matcher_trains_on_two_processes(tmp_path: Path) -> None:
    """Photos that are mirrored train no decoder, and each process mirrors its own: neither waits for the other's gradients."""
    repository = make_repository(tmp_path / "town", pixels=32, train=21, val=7)
    train_on_two(repository, tmp_path / "two", "batch_size=3", "model.matcher.tried=4", preset="best")
    before = build_model(load_config(tmp_path / "two" / "config.yaml").model, pretrained=False).state_dict()
    after = load_file(tmp_path / "two" / "models" / "last" / "model.safetensors")
    assert before.keys() == after.keys()
    assert all(torch.isfinite(tensor).all() for tensor in after.values())
    moved = {name.split(".")[0] for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert moved == {"encoder", "decoder", "matcher"}
    assert {(row[0], row[1]) for row in figures(tmp_path / "two") if row[2] == "val_nll"} == {("3", "0"), ("7", "1")}
