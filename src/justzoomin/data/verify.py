"""Verification: every record, photo and tile looked at once, problems listed, nothing changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from justzoomin.data.photos import decode_photo
from justzoomin.data.repository import Dataset
from justzoomin.data.tables import RecordProblem, check_records
from justzoomin.errors import JustZoomInError

Progress = Callable[[str, int, int], None]


@dataclass
class VerifyReport:
    """What a verification looked at and what it found.

    Attributes:
        counts: Records, photos and tiles looked at.
        problems: Everything found, with the split, photo or tile it concerns.
    """

    counts: dict[str, int] = field(default_factory=dict)
    problems: list[dict[str, str]] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.problems

    def kinds(self) -> dict[str, int]:
        """How many problems there are of each kind."""
        return dict(Counter(p["kind"] for p in self.problems))


def verify_dataset(dataset: Dataset, *, tiles: bool = True, workers: int = 4,
                   progress: Progress | None = None) -> VerifyReport:
    """Look at every record of every split, decode every photo they name and every tile of the map.

    Args:
        dataset: The dataset.
        tiles: Whether to decode the map's tiles as well.
        workers: Threads that decode.
        progress: Called with what is being looked at, how many are done and how many there are.
    """
    report = VerifyReport()
    present = dataset.photos.ids()
    wanted: dict[str, str] = {}
    for name in dataset.split_paths:
        try:
            split = dataset.split(name)
        except JustZoomInError as error:
            report.problems.append({"kind": "table", "split": name, "item": str(error.where), "detail": str(error)})
            continue
        report.counts[f"records_{name}"] = len(split)
        found = check_records(split, dataset.grid, own_grid=dataset.own_grid)
        found += [RecordProblem(i, "missing_photo", "no such photo in the repository")
                  for i in split.image_ids if i not in present]
        report.problems += [{"kind": p.kind, "split": name, "item": p.image_id, "detail": p.detail} for p in found]
        for image_id in split.image_ids:
            other = wanted.setdefault(image_id, name)
            if other != name:
                report.problems.append({"kind": "shared_photo", "split": name, "item": image_id,
                                        "detail": f"the photo stands in split {other} as well"})
    ids = [i for i in wanted if i in present]
    report.counts["photos"] = len(ids)

    def photo_problem(image_id: str) -> dict[str, str] | None:
        try:
            decode_photo(dataset.photos.read(image_id), dataset.photos.where(image_id))
        except JustZoomInError as error:
            return {"kind": "broken_photo", "split": wanted[image_id], "item": image_id, "detail": str(error)}
        return None

    report.problems += _run(photo_problem, ids, "photos", workers, progress)
    if tiles:
        names = [(level, x, y) for level in sorted(dataset.map.levels()) for x, y in dataset.map.source.tiles(level)]
        report.counts["tiles"] = len(names)

        def tile_problem(tile: tuple[int, int, int]) -> dict[str, str] | None:
            try:
                dataset.map.tile(*tile)
            except JustZoomInError as error:
                return {"kind": "broken_tile", "split": "", "item": "/".join(map(str, tile)), "detail": str(error)}
            return None

        report.problems += _run(tile_problem, names, "tiles", workers, progress)
    return report


def _run(check: Callable[[Any], dict[str, str] | None], items: Iterable[Any], label: str, workers: int,
         progress: Progress | None) -> list[dict[str, str]]:
    items = list(items)
    problems = []
    with ThreadPoolExecutor(workers) as pool:
        for done, problem in enumerate(pool.map(check, items), 1):
            if problem:
                problems.append(problem)
            if progress:
                progress(label, done, len(items))
    return problems
