"""The state that a run resumes from: a damaged state is reported, with what remains usable."""

from pathlib import Path

import pytest
import torch

from fakes import make_repository
from justzoomin.data import open_dataset
from justzoomin.errors import TrainingError
from justzoomin.training import train, train_config
from justzoomin.training.state import load_state

STATE = {"epoch": 0, "global_step": 3, "state_dict": {"model.w": torch.randn(50_000)}, "optimizer_states": [],
         "lr_schedulers": [], "loops": {}, "batches_done": 3, "train_split_hash": "0"}


def flipped(data: bytes) -> bytes:
    return data[:len(data) // 2] + bytes([data[len(data) // 2] ^ 255]) + data[len(data) // 2 + 1:]


@pytest.mark.parametrize("spoil", [
    lambda _: b"", lambda _: b"hello", lambda d: d[:1000], lambda d: d[:-200], flipped, lambda d: d + b"\0" * 70_000])
def test_a_damaged_state_is_said_to_be_so(tmp_path: Path, spoil) -> None:
    torch.save(STATE, tmp_path / "state.ckpt")
    assert load_state(tmp_path / "state.ckpt")["global_step"] == 3
    (tmp_path / "state.ckpt").write_bytes(spoil((tmp_path / "state.ckpt").read_bytes()))
    with pytest.raises(TrainingError, match=r"state\.ckpt: the state of this run is damaged .*init=MODEL"):
        load_state(tmp_path / "state.ckpt")


@pytest.mark.parametrize("content", [[1], {}, {**STATE, "global_step": "x"}, {k: v for k, v in STATE.items() if k != "loops"}])
def test_a_state_that_lacks_a_part_is_said_to_do_so(tmp_path: Path, content) -> None:
    torch.save(content, tmp_path / "state.ckpt")
    with pytest.raises(TrainingError, match="is missing or wrong"):
        load_state(tmp_path / "state.ckpt")


def test_a_run_with_a_damaged_state_or_that_of_another_model_ends_in_words(tmp_path: Path) -> None:
    dataset = open_dataset(make_repository(tmp_path / "town", train=8, val=2, pixels=32))
    config = train_config("small", None, (
        "epochs=2", "batch_size=4", "save_every=1", "model.image_pixels=32", "accelerator=cpu", "precision=fp32",
        "val_split=null", "model.encoder.architecture.hidden_sizes=[8, 16, 24]", "model.encoder.architecture.depths=[1, 1, 1]"))
    train(config, dataset, tmp_path / "run", stop_after=2)
    path = tmp_path / "run" / "state.ckpt"
    whole = path.read_bytes()
    path.write_bytes(flipped(whole))
    with pytest.raises(TrainingError, match="the state of this run is damaged"):
        train(config, dataset, tmp_path / "run", resume=True)
    path.write_bytes(whole)
    state = torch.load(path, weights_only=True)
    state["state_dict"]["model.decoder.final_norm.weight"] = torch.ones(3)
    torch.save(state, path)
    with pytest.raises(TrainingError, match=r"model differs .*, the first is model\.decoder\.final_norm\.weight"):
        train(config, dataset, tmp_path / "run", resume=True)
