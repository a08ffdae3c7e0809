"""Each family learns on two small towns, and its run resumes exactly."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from fakes import make_repository
from justzoomin.data import collate, open_dataset
from justzoomin.errors import ModelError
from justzoomin.models import model_preset, open_model
from justzoomin.search import ViewVectors, cell_scores, views_of
from justzoomin.training import TrainConfig, train, train_config

SETTINGS = ("epochs=4", "batch_size=8", "batch_places=2", "save_every=1", "log_every=1", "model.image_pixels=32",
            "learning_rate=0.01", "model.encoder.architecture.hidden_sizes=[8, 16, 24]", "negatives=1", "validate_every=4",
            "model.encoder.architecture.depths=[1, 1, 1]", "accelerator=cpu", "mine_from=2", "mine_every=2")
KINDS = [("retriever", ()), ("retriever", ("model.retriever.contexts=[1, 2]", "augment.enabled=true")),
         ("hierarchical", ("model.retriever.experts=2",)), ("classifier", ())]


def settings(family: str, *more: str) -> TrainConfig:
    return train_config(family, None, (*SETTINGS, *more))


@pytest.fixture(scope="module")
def towns(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("towns")
    return [make_repository(folder / name, train=10, val=3, pixels=32, seed=k, lat=54.5 + k / 10)
            for k, name in enumerate("ab")]


def opened(towns: list[Path], family: str) -> list:
    return [open_dataset(town) for town in towns][:1 if family == "classifier" else 2]


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "models" / "last" / "model.safetensors")


@pytest.mark.parametrize(("family", "more"), KINDS)
def test_the_loss_falls_and_the_run_resumes_exactly(towns: list[Path], tmp_path: Path, family: str,
                                                    more: tuple[str, ...]) -> None:
    config, datasets = settings(family, *more), opened(towns, family)
    steps = 4 * -(-10 * len(datasets) // 8)
    best = train(config, datasets, tmp_path / "whole")
    with (tmp_path / "whole" / "metrics.csv").open() as file:
        rows = list(csv.reader(file))
    losses = [float(row[3]) for row in rows if row[2] == "loss"]
    assert len(losses) == steps and np.mean(losses[-3:]) < np.mean(losses[:3])
    assert {"val_recall_40m", "val_nll"} <= {row[2] for row in rows}
    assert open_model(best).config.family == family
    for stop in (steps // 2, steps // 2 + 1):  # before the first epoch with neighbours, and within it
        out = tmp_path / f"cut-{stop}"
        train(config, datasets, out, stop_after=stop)
        train(config, datasets, out, resume=True)
        assert all(torch.equal(tensor, weights(out)[key]) for key, tensor in weights(tmp_path / "whole").items()), stop
        assert (out / "metrics.csv").read_text() == (tmp_path / "whole" / "metrics.csv").read_text()


def test_neighbours_change_the_run(towns: list[Path], tmp_path: Path) -> None:
    train(settings("retriever"), opened(towns, "retriever"), tmp_path / "mined")
    train(settings("retriever", "mine_from=null"), opened(towns, "retriever"), tmp_path / "plain")
    assert any(not torch.equal(tensor, weights(tmp_path / "plain")[key]) for key, tensor in weights(tmp_path / "mined").items())


@pytest.mark.parametrize("family", ["retriever", "hierarchical", "classifier"])
def test_figures_of_the_validation_are_those_of_the_saved_model(towns: list[Path], tmp_path: Path, family: str) -> None:
    datasets = opened(towns, family)
    model = open_model(train(settings(family, "epochs=1", "validate_every=1", "precision=fp32"), datasets, tmp_path / "run"))
    loss = []
    for dataset in datasets:
        photos = dataset.torch_dataset("val", 32)
        batch = collate([photos[k] for k in range(len(photos))])
        from justzoomin.data import halves, normalize

        with torch.no_grad():
            found = model.encode_photos(normalize(halves(batch["wide"]), model.config.mean, model.config.std))
        scores = cell_scores(model, found, ViewVectors(model, views_of(model, dataset.map)))
        true = torch.from_numpy(dataset.grid.flatten(batch["sequence"].numpy()))
        loss.append(-scores.log_softmax(1).gather(1, true.unsqueeze(1)))
    assert model.provenance["validation"]["val_nll"] == pytest.approx(float(torch.cat(loss).mean()), abs=1e-3)


def test_the_calibrator_alone_is_trained_by_the_rank_of_paths(towns: list[Path]) -> None:
    """Its loss has a gradient for the weights of levels, and they take part in no other loss."""
    from justzoomin.data import JoinedDataset
    from justzoomin.models import build_model
    from justzoomin.training.hierarchical_task import HierarchicalTask
    from justzoomin.training.mining import Miner

    config = settings("hierarchical")
    model = build_model(config.model.model_copy(update={"depth": 2})).train()
    data = open_dataset(towns[0])
    samples = JoinedDataset([data.torch_dataset("train", 32)], [0])
    task = HierarchicalTask(model, config, [views_of(model, data.map)], 10, Miner(samples, None))
    batch = collate([samples[k] for k in range(8)])
    photos = torch.randn(8, model.encoder.width, generator=torch.Generator().manual_seed(0))
    first = task.losses(photos, batch, 1)
    first.sum().backward()
    assert model.path_weights.grad is not None and (model.path_weights.grad != 0).all()
    with torch.no_grad():
        model.path_weights += 1.0
    torch.testing.assert_close(task.losses(photos, batch, 1), first)


def test_what_a_family_cannot_do_is_refused(towns: list[Path], tmp_path: Path) -> None:
    datasets = [open_dataset(town) for town in towns]
    with pytest.raises(ModelError, match="cells of one map"):
        train(settings("classifier"), datasets, tmp_path / "run")
    with pytest.raises(ModelError, match="prefix_cache"):
        train(settings("retriever", "prefix_cache=memory"), datasets, tmp_path / "run")
    deep = make_repository(tmp_path / "deep", depth=3, train=3, val=2, pixels=32)
    first = train(settings("hierarchical", "epochs=1"), datasets, tmp_path / "first")
    with pytest.raises(ModelError, match="has 2 levels, but the grid has 3"):
        train(settings("hierarchical", f"init={first}"), open_dataset(deep), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_zoomers_fingerprint_knows_nothing_of_other_families() -> None:
    small = model_preset("small")
    other = small.model_copy(update={"retriever": small.retriever.model_copy(update={"beam": 7})})
    assert small.identity() == other.identity() and "retriever" not in small.identity() and "family" not in small.identity()
    retriever = model_preset("retriever")
    other = retriever.model_copy(update={"retriever": retriever.retriever.model_copy(update={"beam": 7})})
    assert retriever.identity() != other.identity()
