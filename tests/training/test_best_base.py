"""The preset `best-base` on a tiny encoder of the same kind: from training to an answer, and its estimated cost."""

import csv
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from fakes import make_repository
from justzoomin.apps.train import _tell_cost
from justzoomin.data import open_dataset
from justzoomin.evaluation import evaluate
from justzoomin.models import Compute, ZoomModel, build_model, open_model
from justzoomin.search import Localizer, build_index
from justzoomin.training import TrainEstimate, estimate_of, train, train_config
from justzoomin.training import run as running
from justzoomin.training.estimate import _KEPT

ENCODER = ("{model_type: dinov2, hidden_size: 32, num_hidden_layers: 4, num_attention_heads: 2, mlp_ratio: 2, "
           "patch_size: 14, image_size: 28}")
TINY = ("model.encoder.source=null", f"model.encoder.architecture={ENCODER}", "model.encoder.trainable_blocks=2",
        "model.encoder.stages=[1, 2, 3, 4]", "model.image_pixels=32", "model.decoder.heads=2", "model.matcher.channels=4",
        "model.matcher.ranges=4", "model.matcher.width=8", "model.matcher.tried=8", "model.matcher.symmetries=1",
        "model.matcher.reach_m=20", "matching.poses=32", "workers=0", "accelerator=cpu", "log_every=1")
TOWN = ("model.matcher.metres_per_pixel=1", "model.matcher.window_m=112", "model.matcher.margin_m=14")
CITY = ("model.matcher.metres_per_pixel=40", "model.matcher.window_m=4480", "model.matcher.margin_m=560",
        "model.matcher.nearest_m=100", "model.matcher.reach_m=800", "matching.seen_m=400")


def test_the_preset_fits_the_published_dataset() -> None:
    """16 places are one of its terminal cells, and a piece of map is a whole number of patches, for DINOv2 and DINOv3."""
    config = train_config("best-base")
    matcher = config.model.matcher
    assert matcher is not None
    for patch, resolution in ((14, matcher.metres_per_pixel), (16, 0.30625)):
        assert patch / 2 * resolution == pytest.approx(2.45) and pytest.approx(10_000 / 4**4, rel=0.005) == 16 * 2.45
        pixels = matcher.model_copy(update={"metres_per_pixel": resolution}).window_pixels
        assert pixels % patch == 0 and pixels // patch == 68
    assert config.model.encoder.stages == (3, 6, 9, 12) and len(matcher.scales) == 4
    assert config.batch_size * config.accumulate == 64 and config.matching.zoom_weight == 0


def test_it_runs_from_training_to_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_repository(tmp_path / "town", train=8, val=3, pixels=32)
    ids = open_dataset(root).split("train").image_ids
    (root / "streetview").mkdir(exist_ok=True)
    (root / "streetview" / "headings.csv").write_text("image_id,bearing_deg\n" + "".join(f"{i},{40 * k}\n" for k, i in
                                                                                        enumerate(ids[:5])))
    town = open_dataset(root)
    costs = []
    monkeypatch.setattr(running, "memory_of", lambda _: 1000)
    with pytest.warns(UserWarning, match=r"estimated to need .* GB of memory, but the device cpu has 0\.0 GB"):
        best = train(train_config("best-base", None, (*TINY, *TOWN, "epochs=2", "batch_size=4", "learning_rate=0.003")), town,
                     tmp_path / "run", announce=lambda cost, _: costs.append(cost))
    assert costs[0].steps == 2 and costs[0].photos == 8 and 0 < costs[0].trained < costs[0].weights
    with (tmp_path / "run" / "metrics.csv").open() as file:
        found = {row["name"]: float(row["value"]) for row in csv.DictReader(file)}
    assert {"loss", "val_recall_40m"} <= found.keys()
    model = open_model(best)
    start = build_model(model.config, pretrained=False, seed=0).state_dict()
    moved = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, start[name])}
    blocks = {name.split(".")[4] for name in moved if ".layer." in name}
    assert blocks == {"2", "3"} and not any(name.startswith(("decoder.", "encoder.backbone.embeddings")) for name in moved)
    assert {name for name in start if name.startswith(("matcher.photo_scaled", "matcher.map_scaled"))} <= moved
    report = evaluate(model, town, "val", search="posterior").report
    assert report["n"] == 3
    build_index(model, town.map, tmp_path / "index")
    photo = town.photos.read(town.split("val").image_ids[0])
    with_index, without = (Localizer(model, town.map, index=each, search="posterior").localize(photo)
                           for each in (tmp_path / "index", None))
    assert with_index.sequence == without.sequence and len(without.sequence) == 2


def test_it_runs_on_real_data(shared: Path, tmp_path: Path) -> None:
    dataset = open_dataset(shared / "data" / "dc-mini")
    words = (*TINY, *CITY, "train_split=val", "val_split=null", "epochs=2", "batch_size=2", "accumulate=1")
    best = train(train_config("best-base", None, words), dataset, tmp_path / "run")
    model = ZoomModel.from_pretrained(best)
    fix = Localizer(model, dataset.map, search="posterior").localize(dataset.photos.read(dataset.split("val").image_ids[0]))
    assert len(fix.sequence) == 4 and fix.cell_size_m == pytest.approx(39.0625)


def test_the_estimate_agrees_with_counted_operations_and_kept_numbers() -> None:
    wider = ENCODER.replace("hidden_size: 32", "hidden_size: 128").replace("mlp_ratio: 2", "mlp_ratio: 4")
    words = (*TINY, *TOWN, "batch_size=3", "accumulate=2", f"model.encoder.architecture={wider}", "model.image_pixels=112")
    config = train_config("best-base", None, words)
    model = build_model(config.model, pretrained=False, seed=0).train()
    assert model.matcher is not None
    model.decoder.requires_grad_(False)
    model.torch_encoder.backbone.set_attn_implementation("eager")  # whose products are counted on a CPU
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with FlopCounterMode(display=False) as counter:
        fans = model.fans(model.encode_photos(torch.randn(3, 2, 3, 112, 112)))
        ground = model.describe_ground(torch.randn(3, 140, 140))
        (fans.sum() + ground.places.sum() + ground.headings.sum()).backward()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model.torch_encoder.backbone.set_attn_implementation("sdpa")
        held = [model.encode_photos(torch.randn(3, 2, 3, 112, 112)), model.describe_ground(torch.randn(3, 140, 140))]
    cost = estimate_of(model, config, 10, Compute("cpu", training=True))
    assert cost is not None and held
    assert cost.step_flops == pytest.approx(2 * counter.get_total_flops(), rel=0.2)
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    found = sum(size for place, size in kept.items() if place not in own)
    spare = _KEPT * 128 * 4 * (6 * 65 + 101) + 4 * config.matching.poses * model.matcher.size * 4  # what lives for a moment
    assert cost.memory_bytes - 4 * cost.weights - 12 * cost.trained - spare == pytest.approx(found, rel=0.25)
    assert cost.hours(cost.step_flops) == pytest.approx(10 / 3600)
    halved = estimate_of(model, config, 10, Compute("cpu", "bf16", training=True))
    assert halved is not None and halved.memory_bytes < cost.memory_bytes and halved.step_flops == cost.step_flops


def test_the_estimate_is_told_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    _tell_cost(TrainEstimate(92_000_000, 30_000_000, 64, 36e12, 11.5e9, 46_880), Compute("cpu"))
    first, second = capsys.readouterr().err.splitlines()
    assert first == ("estimate: 92.0 million weights, 30.0 million of them trained; a step of 64 photos needs 36 TFLOP "
                     "and 11.5 GB of memory")
    assert second.startswith("estimate: 46,880 steps take ") and "40 % of a matrix product on this cpu" in second


def test_other_encoders_have_no_estimate() -> None:
    config = train_config("best")
    assert estimate_of(build_model(config.model), config, 1, Compute("cpu")) is None
