"""The report of an evaluation: figures, protocol, counts and hashes, as JSON and as a comparison of checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from justzoomin.data import CameraSource, Dataset, open_dataset
from justzoomin.errors import ModelError
from justzoomin.evaluation.batches import Progress
from justzoomin.evaluation.compass import Compass
from justzoomin.evaluation.steps import Steps
from justzoomin.evaluation.tables import prediction_info, search_table
from justzoomin.geometry import grid_to_dict
from justzoomin.models import MapModel, open_model
from justzoomin.posterior import Calibration, find_calibration
from justzoomin.scoring import DEFAULT_LISTED, DEFAULT_RADII_M, PredictionTable, Protocol, score_table, share_figure
from justzoomin.search import Localizer

PROTOCOL_VERSION = 1


@dataclass(frozen=True)
class Evaluation:
    """An evaluation: the report's plain values, and the predictions that they were computed from.

    Attributes:
        report: The report; see docs/formats.md.
        table: The predictions, as in a predictions file.
        steps: Result of each step along the true path; None for searches other than greedy.
    """

    report: dict[str, Any]
    table: PredictionTable
    steps: Steps | None = None


def evaluate(model: MapModel, dataset: Dataset, split: str = "val", *, radii_m: tuple[float, ...] = DEFAULT_RADII_M,
             batch_size: int = 32, limit: int | None = None, index: str | Path | None = None, search: str | None = None,
             decision: str | None = None, calibration: Calibration | None = None, listed: int | None = DEFAULT_LISTED,
             method: str | None = None, progress: Progress | None = None,
             prepare: Callable[[Localizer], None] | None = None, cameras: CameraSource | None = None,
             compass: Compass | None = None) -> Evaluation:
    """Evaluate a model on a split, with the published greedy decoding along the model's own views or another search.

    Args:
        model: The model, of any family.
        dataset: The dataset.
        split: Name of the split.
        radii_m: Radii X of R@Xm in metres.
        batch_size: Photos encoded at once.
        limit: Number of photos to use, from the split's start; all if None.
        index: Folder of the map's index for this model, if there is one.
        search: `greedy`, `beam:K` or `posterior`. None means `posterior` if the model does not zoom, has a ray matcher, or the
            decision needs one; else `greedy`.
        decision: Rule that chooses answers from a posterior; see `Localizer`.
        calibration: Calibration of the posteriors' probabilities.
        listed: Number of a posterior's cells that are stored for a photo; all if None.
        method: Name of the row in a table; the search if None.
        progress: Called with the number of photos done and the number of all photos.
        prepare: Called with the localizer before the first photo.
        cameras: Camera of the photos whose field of view the dataset's tables do not state; see `Localizer`.
        compass: Headings of the photos that the model is told; for the posterior of a model with a ray matcher.

    Raises:
        ConfigError: If search or decision is unknown, or the two cannot be combined, or the model cannot use headings.
        ModelError: If the model does not fit the dataset's grid, or index or calibration belong to another model.
        DataError: If the split has errors, or the index belongs to another map.
        PhotoError: If a photo is missing or broken.
    """
    dataset.check(split)
    zooms = model.decodes_paths and model.config.matcher is None
    kind = search or ("greedy" if zooms and decision in (None, "top") else "posterior")
    was_training = model.training
    localizer = Localizer(model, dataset.map, dataset.grid, index, search=kind, decision=decision, calibration=calibration,
                          cameras=cameras)
    headings = () if compass is None else compass.headings(dataset, split)
    if prepare:
        prepare(localizer)
    name = str(localizer.search)
    info = prediction_info(model, dataset, split, method=method or name, search=name, index=index, listed=listed,
                           protocol={} if compass is None else {"heading": str(compass)})
    table, steps = search_table(localizer, dataset, split, info, batch_size=batch_size, limit=limit, progress=progress,
                                headings=headings)
    model.train(was_training)
    return Evaluation(build_report(table, radii_m, steps), table, steps)


def build_report(table: PredictionTable, radii_m: tuple[float, ...], steps: Steps | None = None) -> dict[str, Any]:
    """Return a report as plain values: the scores of the table (see `score_table`) in the layout of docs/formats.md.

    Args:
        table: The predictions.
        radii_m: Radii X of R@Xm in metres.
        steps: Result of each step along the true path, if paths were followed.
    """
    info, protocol = table.info, Protocol(radii_m=radii_m, areas_m2=())
    score, draws = score_table(table, protocol), protocol.resampling(table)[0]
    words = {name: score["protocol"][name] for name in ("gallery", "distance", "recall_at_1", "recall_at_m", "intervals")}
    return {
        "protocol_version": PROTOCOL_VERSION,
        "n": score["n"],
        "split": score["split"],
        "trained_on_this_split": info.trained_on_this_split,
        **_flat(score),
        **({"headings": score["headings"]} if "headings" in score else {}),
        "step_accuracy": [] if steps is None else [asdict(share_figure(step, draws)) for step in steps.right.T],
        "mean_log_probability_of_true_path": score["calibration"]["true_log_prob"],
        "chance": _flat(score["chance"]),
        "ceiling": _flat(score["ceiling"]),
        "protocol": {"decoding": _decoding(table), **words, "cell_size_m": table.grid.cell_size_m(table.grid.depth),
                     "grid": grid_to_dict(table.grid)},
        "hashes": {name: info.hashes[name] for name in ("model", "map", "split")},
        "attribution": info.attribution,
    }


def _decoding(table: PredictionTable) -> str:
    info = table.info
    if info.search == "greedy":
        return "greedy, along the views the model itself chose, to the centre of a terminal cell"
    if info.search.startswith("beam:"):
        return f"the most probable path of a beam of {info.search.removeprefix('beam:')}, to the centre of its terminal cell"
    found = f"posterior over all terminal cells, answered by the decision {info.decision}"
    foreign = info.protocol.get("calibration") == "of another map"
    if "heading" in info.protocol:
        found += f", with known headings ({info.protocol['heading']})"
    return f"{found}; its calibration is of another map, so probabilities are not calibrated here" if foreign else \
        f"calibrated {found}" if info.calibration else found


def _flat(score: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of a score, with their intervals under a separate key."""
    def of(take: Callable[[dict[str, float]], Any]) -> dict[str, Any]:
        return {"recall_at_1": take(score["recall_at_1"]),
                "recall_at_m": {radius: take(figure) for radius, figure in score["recall_at_m"].items()},
                "median_m": take(score["median_m"]), "mean_m": take(score["mean_m"])}

    return {**of(lambda figure: figure["value"]), "intervals_95": of(lambda figure: [figure["low"], figure["high"]])}


def find_models(path: Path) -> dict[str, Path]:
    """Return the model folders of a run (`models/*/`), by name; if the folder is a model folder, only that one.

    Raises:
        ModelError: If the folder holds no model.
    """
    if (path / "model.safetensors").is_file():
        return {path.resolve().name: path}
    found = {p.parent.name: p.parent for p in sorted((path / "models").glob("*/model.safetensors"))}
    if not found:
        raise ModelError(path, "it is neither a model folder nor a run folder with models under models/",
                         "Give a folder that holds model.safetensors, or a run folder of jzi train.")
    return found


def evaluate_path(model: str, data: str | Path, split: str = "val", *, device: str = "auto", dataset: Dataset | None = None,
                  calibrated: bool = True, progress: Callable[[str], Progress] | None = None,
                  **options: Any) -> dict[str, Evaluation]:
    """Evaluate a model folder, a hub id, or every checkpoint of a run folder on one split.

    Args:
        model: Model folder, hub id or run folder.
        data: Folder of the dataset.
        split: Name of the split.
        device: Device that the model runs on.
        dataset: The dataset, if it is already open.
        calibrated: Whether to use the calibration in a model's folder, if there is one for this grid's depth.
        progress: Returns the progress function for the name of a checkpoint.
        options: Further arguments of `evaluate`. An `index` belongs to one checkpoint only.

    Returns:
        Evaluations by checkpoint name.
    """
    dataset = dataset or open_dataset(data)
    models: dict[str, str | Path] = dict(find_models(Path(model))) if Path(model).is_dir() else {model: model}
    results = {}
    for name, where in models.items():
        opened = open_model(where, device=device)
        calibration = find_calibration(opened.folder, opened.fingerprint, dataset.grid.depth) if calibrated else None
        results[name] = evaluate(opened, dataset, split, calibration=calibration,
                                 progress=progress(name) if progress else None, **options)
    return results
