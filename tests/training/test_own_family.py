"""A whole family of models, made in this file alone: registered, trained, evaluated, searched, saved and opened."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from fakes import make_repository, tiny_model
from justzoomin import Localizer
from justzoomin.apps.main import main
from justzoomin.data import open_dataset
from justzoomin.errors import ConfigError, ModelError
from justzoomin.evaluation import evaluate_path
from justzoomin.figures import visualize
from justzoomin.geometry import Layer, ViewLayers
from justzoomin.models import Family, MapModel, ModelConfig, ZoomModel, build_model, families, open_model, register_family
from justzoomin.search import MapIndex, build_index
from justzoomin.training import Task, ZoomTask, register_task, train, train_config
from justzoomin.training import families as tasks


class Nearness(MapModel):
    """A cell is as probable as its view, seen at two sizes, is near to the photo."""

    family = "nearness"

    def _build(self, config):
        self.mix = torch.nn.Linear(2 * self.encoder.width, self.encoder.width)
        self.log_scale = torch.nn.Parameter(torch.zeros(()))

    def layers(self, grid):
        return ViewLayers(grid, (Layer(grid.depth), Layer(grid.depth, 2)))

    def describe_cells(self, layers):
        return [self.mix(torch.cat(layers, 1))]

    def cell_scores(self, photos, cells):
        return -self.log_scale.exp() * torch.cdist(photos, cells[0])


class NearnessTask(Task):
    """Each photo against the cells of its batch."""

    def losses(self, photos, batch, seed):
        grid = self.grids[0]
        cells = torch.from_numpy(grid.flatten(batch["sequence"].cpu().numpy()))
        distinct, place = cells.unique(return_inverse=True)
        count = grid.actions**grid.depth
        vectors = self.encode_views(torch.cat([distinct, distinct + count]), seed)
        scores = self.model.cell_scores(photos, self.model.describe_cells(list(vectors.chunk(2))))
        return torch.nn.functional.cross_entropy(scores, place, reduction="none")


class LargerHalf(ZoomModel):
    """A zoomer that sees a photo as the larger of both halves' values."""

    family = "larger-half-tested"

    def encode_photos(self, photos):
        halves = self.encoder(photos.flatten(0, 1))
        return halves.view(-1, 2, halves.shape[-1]).amax(dim=1)


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Both families, known during a test alone."""
    monkeypatch.setattr(families, "_FAMILIES", dict(families._FAMILIES))
    monkeypatch.setattr(tasks, "_TASKS", dict(tasks._TASKS))
    register_family(Family("nearness", Nearness))
    register_task("nearness", NearnessTask)
    register_family(Family("larger-half-tested", LargerHalf, uses=frozenset({"decoder"})))
    register_task("larger-half-tested", ZoomTask)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_repository(tmp_path_factory.mktemp("own") / "town", train=10, val=3, pixels=32)


def settings(family: str):
    tiny = tiny_model(seed=0).config.encoder.architecture
    return train_config("small", None, (
        f"model.family={family}", "model.image_pixels=32", "epochs=2", "batch_size=5", "accelerator=cpu", "learning_rate=0.01",
        f"model.encoder.architecture.hidden_sizes={tiny['hidden_sizes']}", "model.encoder.architecture.num_stages=2",
        f"model.encoder.architecture.depths={tiny['depths']}", "model.decoder.blocks=1", "model.decoder.ffn_multiple_of=16"))


@pytest.mark.parametrize(("family", "searched"), [("nearness", "posterior"), ("larger-half-tested", "greedy")])
def test_an_own_family_goes_all_the_way(town: Path, tmp_path: Path, family: str, searched: str) -> None:
    dataset = open_dataset(town)
    best = train(settings(family), dataset, tmp_path / "run")
    model = open_model(best)
    assert type(model) is {"nearness": Nearness, "larger-half-tested": LargerHalf}[family]
    assert "val_recall_40m" in model.provenance["validation"]

    report = evaluate_path(str(best), town, device="cpu")["best"].report
    assert report["n"] == 3 and ("greedy" in report["protocol"]["decoding"]) == (searched == "greedy")

    photo = dataset.photos.read(dataset.split("val").image_ids[0])
    fix = Localizer.load(best, dataset.map, device="cpu", search="posterior").localize(photo)
    assert len(fix.sequence) == dataset.grid.depth and fix.regions and fix.radius_90_m > 0

    saved = open_model(model.save_pretrained(tmp_path / "again"))
    assert saved.fingerprint() == model.fingerprint() and saved.grid == dataset.grid
    index = build_index(saved, dataset.map, tmp_path / "index")
    assert isinstance(index, MapIndex) and index.count() == len(saved.layers(dataset.grid))
    again = Localizer(saved, dataset.map, index=tmp_path / "index", search="posterior").localize(photo)
    assert again.sequence == fix.sequence

    if family == "nearness":
        with pytest.raises(ConfigError, match="follows paths"):
            Localizer(saved, dataset.map, search="greedy")
        drawn = visualize(best, dataset, tmp_path / "pictures", count=1, device="cpu")
        assert all(path.is_file() for path in drawn)


def test_what_is_not_registered_is_refused_by_name(town: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = build_model(settings("nearness").model).save_pretrained(tmp_path / "model")
    with pytest.raises(ModelError, match="a family 'nearness' exists already"):
        register_family(Family("nearness", Nearness))
    with pytest.raises(ModelError, match="already has a task"):
        register_task("zoom", NearnessTask)
    del tasks._TASKS["nearness", False]
    with pytest.raises(ModelError, match="no task trains the family 'nearness'"):
        train(settings("nearness"), open_dataset(town), tmp_path / "run")
    del families._FAMILIES["nearness"]
    with pytest.raises(ModelError, match="unknown family 'nearness'; choose one of: zoom, retriever, hierarchical, classifier"):
        open_model(folder)
    with pytest.raises(ValidationError, match="unknown family"):
        ModelConfig(**{**tiny_model().config.model_dump(), "family": "nearness"})
    with pytest.raises(ConfigError, match="unknown family 'nearness'"):
        settings("nearness")
    assert not (tmp_path / "run").exists()


def test_another_family_of_the_same_weights_has_another_fingerprint() -> None:
    zoomer = tiny_model()
    own = LargerHalf(zoomer.config.model_copy(update={"family": "larger-half-tested"}))
    own.load_state_dict(zoomer.state_dict())
    assert own.fingerprint() != zoomer.fingerprint()


def test_an_installed_package_adds_a_family_to_the_command_line(tmp_path: Path, town: Path, monkeypatch: pytest.MonkeyPatch,
                                                                capsys: pytest.CaptureFixture[str]) -> None:
    own = tmp_path / "site"
    (own / "brighter-1.dist-info").mkdir(parents=True)
    (own / "brighter-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: brighter\nVersion: 1\n")
    (own / "brighter-1.dist-info" / "entry_points.txt").write_text(
        "[justzoomin.families]\nbrighter = brighter_family\nbroken = there_is_no_such_module\n")
    (own / "brighter_family.py").write_text("""
from justzoomin.models import Family, ZoomModel, register_family

class Brighter(ZoomModel):
    family = "brighter"

register_family(Family("brighter", Brighter, uses=frozenset({"decoder"})))
""")
    monkeypatch.syspath_prepend(own)
    zoomer = tiny_model()
    folder = zoomer.save_pretrained(tmp_path / "model", open_dataset(town).grid)
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"family": "zoom"', '"family": "brighter"'))
    with pytest.raises(SystemExit) as stop:
        main(["model", "info", str(folder)])
    assert not stop.value.code and "brighter" in capsys.readouterr().out
    config.write_text(config.read_text().replace("brighter", "broken"))
    with pytest.raises(ModelError, match="there_is_no_such_module cannot be loaded"):
        open_model(folder)
    del families._FAMILIES["brighter"]
