"""The figures of evaluation reports for a model card: as a table, as `model-index`, and as files in `.eval_results/`."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from justzoomin.errors import DataError
from justzoomin.untrusted import files_in, printable, read_limited

_MAX_BYTES = 16 << 20
_REMEDY = "Make it again: jzi evaluate MODEL --data DATA --json FILE."


@dataclass(frozen=True)
class Figure:
    """A figure with its 95 % interval.

    Args:
        key: Its name for machines, such as `recall_at_40m`.
        words: Its name for people.
        unit: `%` or `m`.
        value: The figure.
        low: Low end of the interval.
        high: High end of the interval.
    """

    key: str
    words: str
    unit: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Report:
    """What a card takes from an evaluation report.

    Args:
        name: Name of the file.
        split: Name of the split.
        photos: Number of photos.
        seen: Whether the model was trained on this split; None if unknown.
        protocol: How answers were made and counted, in words.
        hashes: Hashes of `model`, `map` and `split`.
        figures: The figures.
        attribution: Whom to credit for the data.
    """

    name: str
    split: str
    photos: int
    seen: bool | None
    protocol: str
    hashes: dict[str, str]
    figures: tuple[Figure, ...]
    attribution: str


def reports_in(folder: Path, more: Sequence[Path], fingerprint: str) -> list[Report]:
    """Read the reports of a model: `evaluation-*.json` in its folder that are of this model, and those that are named.

    Raises:
        DataError: If a report cannot be read, or a named one is of another model.
    """
    found = []
    for path in (*files_in(folder, "evaluation-*.json"), *more):
        report = read_report(path)
        if report.hashes["model"] == fingerprint:
            found.append(report)
        elif path in more:
            raise DataError(path, "this report is of another model", "Name reports of this model.")
    return found


def read_report(path: Path) -> Report:
    """Read an evaluation report.

    Raises:
        DataError: If it is not one.
    """
    try:
        content: Any = json.loads(read_limited(path, _MAX_BYTES))
        intervals, protocol = content["intervals_95"], content["protocol"]
        figures = [Figure("recall_at_1", "answer in the right cell", "%", float(content["recall_at_1"]),
                          *map(float, intervals["recall_at_1"]))]
        figures += [Figure(f"recall_at_{_number(radius)}m", f"answer within {_number(radius)} m", "%", float(value),
                           *map(float, intervals["recall_at_m"][radius])) for radius, value in content["recall_at_m"].items()]
        if content["median_m"] is not None:
            median, (low, high) = float(content["median_m"]), intervals["median_m"]
            figures.append(Figure("median_m", "median error", "m", median, float(low), float(high)))
        words = "; ".join(printable(protocol[name], 400) for name in ("decoding", "gallery", "distance", "intervals"))
        return Report(path.name, printable(content["split"], 100), int(content["n"]), content["trained_on_this_split"], words,
                      {name: str(content["hashes"][name]) for name in ("model", "map", "split")}, tuple(figures),
                      printable(content["attribution"], 1000))
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
        raise DataError(path, f"it is not an evaluation report ({printable(reason)})", _REMEDY) from error


def table(reports: Sequence[Report]) -> str:
    """Return the figures as a Markdown table, with the protocol below."""
    if not reports:
        return "No evaluation report is in the folder of this model.\n"
    lines = ["| split | photos | figure | value | 95 % interval |", "|---|---|---|---|---|"]
    for report in reports:
        lines += [f"| {report.split} | {report.photos:,} | {f.words} | {f.value:.1f} {f.unit} | "
                  f"{f.low:.1f} to {f.high:.1f} {f.unit} |" for f in report.figures]
    for report in reports:
        seen = {True: "The model was trained on this split.", False: "The model was not trained on this split.",
                None: "It is not known whether the model was trained on this split."}[report.seen]
        lines += ["", f"`{report.name}`, split {report.split}: {report.protocol}. {seen} SHA-256 of the split "
                  f"`{report.hashes['split'][:16]}`, of the map `{report.hashes['map'][:16]}`."]
    return "\n".join(lines) + "\n"


def model_index(reports: Sequence[Report], name: str, benchmark: str | None) -> list[dict[str, Any]]:
    """Return the figures as `model-index` of a card's front matter; the dataset is its hash where it is not on the hub."""
    return [{"name": name, "results": [
        {"task": {"type": "image-feature-extraction", "name": "cross-view geo-localization"},
         "dataset": {"type": benchmark or f"sha256-{report.hashes['split'][:16]}", "name": benchmark or report.name,
                     "split": report.split},
         "metrics": [{"type": f.key, "name": f"{f.words}, {f.unit} (95 % interval {f.low:.2f} to {f.high:.2f})",
                      "value": round(f.value, 4)} for f in report.figures]}
        for report in reports]}] if reports else []


def eval_files(reports: Sequence[Report], benchmark: str) -> dict[str, bytes]:
    """Return the files for `.eval_results/` by path: one per report, an entry for each figure.

    Args:
        reports: The reports.
        benchmark: Dataset repository of the hub that the reports are of.
    """
    import yaml
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    files = {}
    for report in reports:
        entries = [EvalResultEntry(dataset_id=benchmark, task_id=f"{report.split}_{f.key}", value=round(f.value, 4),
                                   notes=f"{f.words}, {f.unit}; 95 % interval {f.low:.2f} to {f.high:.2f}; {report.protocol}")
                   for f in report.figures]
        stem = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{benchmark.partition('/')[2]}-{Path(report.name).stem}")
        files[f".eval_results/{stem}.yaml"] = yaml.safe_dump(eval_result_entries_to_yaml(entries), sort_keys=False,
                                                             allow_unicode=True, width=1000).encode()
    return files


def _number(radius: object) -> str:
    return f"{float(str(radius)):g}"
