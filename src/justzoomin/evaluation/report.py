"""The report of an evaluation: figures, protocol, counts and hashes, as JSON and as a comparison of checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from justzoomin.data import Dataset, open_dataset
from justzoomin.errors import ModelError
from justzoomin.evaluation.metrics import DEFAULT_RADII_M, Score, ceiling, chance, percent, score_predictions
from justzoomin.evaluation.predictions import Predictions, Progress, predict
from justzoomin.geometry import grid_to_dict
from justzoomin.models import ZoomModel

PROTOCOL_VERSION = 1


@dataclass(frozen=True)
class Evaluation:
    """An evaluation: the report's plain values, and the predictions they were computed from."""

    report: dict[str, Any]
    predictions: Predictions


def evaluate(model: ZoomModel, dataset: Dataset, split: str = "val", *, radii_m: tuple[float, ...] = DEFAULT_RADII_M,
             batch_size: int = 32, limit: int | None = None, index: str | Path | None = None,
             progress: Progress | None = None) -> Evaluation:
    """Evaluate a model on a split as published: greedy decoding along the model's own views.

    Args:
        model: The model.
        dataset: The dataset.
        split: Name of the split.
        radii_m: Radii X of R@Xm in metres.
        batch_size: Photos encoded at once.
        limit: Photos to take from the split's start; all if None.
        index: Folder of the map's index under this model, if there is one.
        progress: Called with photos done and photos in all.

    Returns:
        The report and the predictions.
    """
    dataset.check(split)
    predictions = predict(model, dataset, split, batch_size=batch_size, limit=limit, index=index, progress=progress)
    return Evaluation(build_report(predictions, model, dataset, split, radii_m), predictions)


def build_report(predictions: Predictions, model: ZoomModel, dataset: Dataset, split: str,
                 radii_m: tuple[float, ...]) -> dict[str, Any]:
    """Plain values of a report; see docs/formats.md."""
    grid = predictions.grid
    steps = [asdict(percent(predictions.step_correct[:, t])) for t in range(predictions.step_correct.shape[1])]
    own = score_predictions(predictions, radii_m)
    trained_on = _trained_on(model.provenance)
    return {
        "protocol_version": PROTOCOL_VERSION,
        "n": len(predictions),
        "split": split,
        "trained_on_this_split": None if trained_on is None else dataset.split_hash(split) in trained_on,
        **_flat(own),
        "step_accuracy": steps,
        "mean_log_probability_of_true_path": float(predictions.true_log_prob.mean()),
        "chance": _flat(chance(predictions, radii_m)),
        "ceiling": _flat(ceiling(predictions, radii_m)),
        "protocol": {
            "decoding": "greedy, along the views the model itself chose",
            "gallery": f"all {grid.actions**grid.depth} terminal cells of the region",
            "distance": "great circle on a sphere of radius 6378137 m, from the terminal cell's centre to the position",
            "recall_at_1": "percent of photos whose whole sequence is right",
            "recall_at_m": "percent of photos whose error is at most the radius in metres",
            "intervals": "95 %: Wilson for percentages, seeded percentile bootstrap for metres",
            "cell_size_m": grid.cell_size_m(grid.depth),
            "grid": grid_to_dict(grid),
        },
        "hashes": {"model": model.fingerprint(), "map": dataset.map.fingerprint(), "split": dataset.split_hash(split)},
        "attribution": dataset.attribution(),
    }


def _trained_on(provenance: dict[str, Any]) -> set[str] | None:
    """Hashes of the splits that a model was trained on, one for each map; None where that is not known."""
    rows = provenance.get("maps", [provenance])
    hashes = {row["train_split_hash"] for row in rows if isinstance(row, dict) and "train_split_hash" in row}
    return hashes or None


def _flat(figures: Score) -> dict[str, Any]:
    return {
        "recall_at_1": figures.recall_at_1.value,
        "recall_at_m": {f"{r:g}": f.value for r, f in figures.recall_at_m.items()},
        "median_m": figures.median_m.value,
        "mean_m": figures.mean_m.value,
        "intervals_95": {
            "recall_at_1": [figures.recall_at_1.low, figures.recall_at_1.high],
            "recall_at_m": {f"{r:g}": [f.low, f.high] for r, f in figures.recall_at_m.items()},
            "median_m": [figures.median_m.low, figures.median_m.high],
            "mean_m": [figures.mean_m.low, figures.mean_m.high],
        },
    }


def find_models(path: Path) -> dict[str, Path]:
    """Model folders of a run (`models/*/`), by name; the folder itself if it is one.

    Raises:
        ModelError: If it is a folder and holds no model.
    """
    if (path / "model.safetensors").is_file():
        return {path.resolve().name: path}
    found = {p.parent.name: p.parent for p in sorted((path / "models").glob("*/model.safetensors"))}
    if not found:
        raise ModelError(path, "it is no model folder and holds none under models/",
                         "Give a folder that holds model.safetensors, or a run folder of jzi train.")
    return found


def evaluate_path(model: str, data: str | Path, split: str = "val", *, radii_m: tuple[float, ...] = DEFAULT_RADII_M,
                  device: str = "auto", batch_size: int = 32, limit: int | None = None, index: str | Path | None = None,
                  dataset: Dataset | None = None, progress: Callable[[str], Progress] | None = None) -> dict[str, Evaluation]:
    """Evaluate a model folder, a hub id, or every checkpoint of a run folder, on one split; an index belongs to one of them.

    Returns:
        Evaluations by checkpoint name.
    """
    dataset = dataset or open_dataset(data)
    models: dict[str, str | Path] = dict(find_models(Path(model))) if Path(model).is_dir() else {model: model}
    results = {}
    for name, where in models.items():
        opened = ZoomModel.from_pretrained(where, device=device)
        results[name] = evaluate(opened, dataset, split, radii_m=radii_m, batch_size=batch_size, limit=limit,
                                 index=index, progress=progress(name) if progress else None)
    return results
