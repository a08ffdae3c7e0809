"""Settings, schedule, refusals; and the proof on real photos that nothing in the chain is bent."""

import math
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fakes import make_repository
from justzoomin.data import open_dataset
from justzoomin.errors import ConfigError, DataError, ModelError, TrainingError
from justzoomin.evaluation import evaluate
from justzoomin.models import ZoomModel
from justzoomin.search import Localizer
from justzoomin.training import dump_config, load_config, rate_at, train, train_config

QUICK = ("epochs=1", "batch_size=4", "model.image_pixels=32", "accelerator=cpu",
         "model.encoder.architecture.hidden_sizes=[8, 16, 24]", "model.encoder.architecture.depths=[1, 1, 1]")


@given(st.integers(10, 5000), st.floats(0.0, 0.5), st.floats(0.0, 1.0))
def test_schedule_rises_then_falls_to_the_final_rate(total: int, warmup: float, final: float) -> None:
    rates = [rate_at(step, total, warmup, final) for step in range(total + 1)]
    peak = max(range(total), key=rates.__getitem__)
    assert min(rates[:-1]) > 0 or final == 0
    assert max(rates) <= 1.0 + 1e-12
    assert all(a <= b + 1e-12 for a, b in pairwise(rates[:peak + 1]))
    assert all(a >= b - 1e-12 for a, b in pairwise(rates[peak:]))
    assert math.isclose(rates[total], final, abs_tol=1e-9)


def test_paper_settings_are_the_published_ones() -> None:
    config = train_config("paper")
    assert (config.epochs, config.batch_size, config.learning_rate, config.label_smoothing) == (30, 64, 3e-4, 0.1)
    assert (config.weight_decay, config.warmup, config.final_rate, config.clip_norm) == (0.01, 0.05, 0.1, 1.0)
    assert config.select_radius_m == 40
    augment = config.augment
    assert (augment.crop_scale, augment.jpeg_p, augment.jitter_p, augment.grey_p) == ((0.7, 1.0), 0.5, 0.5, 0.1)
    assert (augment.blur_p, augment.dropout_p) == (0.3, 0.3)
    assert (config.model.image_pixels, config.model.encoder.source, config.model.encoder.trainable_blocks) == (
        384, "facebook/dinov2-base", 4)


def test_settings_come_from_preset_then_file_then_words(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("epochs: 7\naugment:\n  jitter_p: 0.25\nmodel: small\n")
    config = train_config("paper", file, ("epochs=9", "augment.jpeg_p=0", "model.decoder.blocks=2"))
    assert (config.epochs, config.augment.jitter_p, config.augment.jpeg_p) == (9, 0.25, 0.0)
    assert (config.model.preset, config.model.decoder.blocks) == ("small", 2)
    saved = tmp_path / "saved.yaml"
    saved.write_text(dump_config(config))
    assert load_config(saved) == config


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_every_precision_trains_with_a_clipped_gradient(tmp_path: Path, precision: str) -> None:
    """`auto` is bf16 on GPUs and CPUs that multiply in it: the default there."""
    data = open_dataset(make_repository(tmp_path / "d", train=4, val=2, pixels=32))
    run = train(train_config("small", None, (*QUICK, f"precision={precision}", "clip_norm=0.5")), data, tmp_path / "run")
    assert (run / "model.safetensors").is_file()


@pytest.mark.parametrize(("words", "part"), [
    (("epoch=3",), "epoch"), (("epochs=0",), "epochs"), (("epochs",), "key=value"), (("augment.jitterp=1",), "augment.jitterp"),
    (("precision=fp8",), "precision"), (("learning_rate=fast",), "learning_rate"),
])
def test_wrong_settings_are_named(words: tuple[str, ...], part: str) -> None:
    with pytest.raises(ConfigError, match=part.replace(".", r"\.")):
        train_config("small", None, words)


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(ModelError, match="medium"):
        train_config("medium")


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "town", pixels=32)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    with pytest.raises(TrainingError, match="not empty"):
        train(train_config("small", None, QUICK), open_dataset(repository), tmp_path / "run")
    with pytest.raises(TrainingError, match="no run to resume"):
        train(train_config("small", None, QUICK), open_dataset(repository), tmp_path / "none", resume=True)


@pytest.mark.parametrize("wrong", ["missing_photo", "contradiction", "duplicate_id", "off_region"])
def test_broken_data_is_known_before_the_first_step(tmp_path: Path, wrong: str) -> None:
    repository = make_repository(tmp_path / "town", pixels=32, breaks=(wrong,))
    with pytest.raises(DataError, match="image_id"):
        train(train_config("small", None, QUICK), open_dataset(repository), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_grid_that_the_model_has_not_is_refused(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "town", pixels=32, grid=3)
    with pytest.raises(ModelError, match=r"model\.grid=3"):
        train(train_config("small", None, QUICK), open_dataset(repository), tmp_path / "run")


def test_init_starts_from_another_model(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "town", pixels=32, train=4, val=2)
    first = train(train_config("small", None, QUICK), open_dataset(repository), tmp_path / "first")
    words = (*QUICK, f"init={first}", "learning_rate=1e-12", "weight_decay=0", "val_split=null")
    second = train(train_config("small", None, words), open_dataset(repository), tmp_path / "second")
    assert second.name == "last"
    before, after = ZoomModel.from_pretrained(first), ZoomModel.from_pretrained(second)
    for key, tensor in before.state_dict().items():
        assert torch.allclose(tensor, after.state_dict()[key], atol=1e-6), key


def test_a_zoomer_to_start_from_is_given_a_ray_matcher(tmp_path: Path) -> None:
    dataset = open_dataset(make_repository(tmp_path / "town", pixels=32, train=4, val=2))
    first = train(train_config("small", None, QUICK), dataset, tmp_path / "first")
    words = (*QUICK, f"init={first}", "learning_rate=1e-12", "weight_decay=0", "val_split=null")
    second = train(train_config("best", None, words), dataset, tmp_path / "second")
    before, after = ZoomModel.from_pretrained(first), ZoomModel.from_pretrained(second)
    assert before.matcher is None and after.matcher is not None and after.config.preset == "best"
    assert after.config.image_pixels == before.config.image_pixels
    for key, tensor in before.state_dict().items():
        assert torch.allclose(tensor, after.state_dict()[key], atol=1e-6), key


def test_real_photos_are_learnt_and_localized(shared: Path, tmp_path: Path) -> None:
    """On the four training photos themselves, and so no claim about any other photo."""
    dataset = open_dataset(shared / "data" / "dc-mini")
    config = train_config("small", None, (
        "train_split=val", "epochs=60", "batch_size=4", "warmup=0.1", "validate_every=30", "augment.enabled=false",
        "model.decoder.dropout=0", "accelerator=cpu"))
    train(config, dataset, tmp_path / "run")
    model = ZoomModel.from_pretrained(tmp_path / "run" / "models" / "last")
    result = evaluate(model, dataset, "val")
    assert result.report["trained_on_this_split"] is True
    assert result.report["recall_at_1"] == 100.0
    assert (result.table.answer_cells == dataset.grid.flatten(dataset.sequences("val"))).all()
    localizer = Localizer(model, dataset.map, search="greedy")
    for image_id, sequence in zip(dataset.split("val").image_ids, dataset.sequences("val").tolist(), strict=True):
        fix = localizer.localize(dataset.photos.read(image_id))
        assert list(fix.sequence) == sequence
        assert fix.cell_size_m == pytest.approx(39.0625)
