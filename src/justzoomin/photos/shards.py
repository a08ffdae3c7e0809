"""Write photos into shards, one after the other, continuing after the finished ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from justzoomin.archives import ShardWriter
from justzoomin.errors import PhotoError
from justzoomin.parallel import ordered_map
from justzoomin.photos.developing import Developed, Examined, develop
from justzoomin.photos.readers import PhotoRecord
from justzoomin.photos.settings import ImportSettings
from justzoomin.photos.workplace import Workplace
from justzoomin.photos.writing import Written

Progress = Callable[[str, int, int], None]


class Job(NamedTuple):
    """A photo to write, what its file showed, and its split."""

    record: PhotoRecord
    examined: Examined
    split: str


def write_shards(work: Workplace, jobs: Sequence[Job], settings: ImportSettings, workers: int | None,
                 progress: Progress) -> tuple[list[Written], list[tuple[Job, str]]]:
    """Develop photos and write them, in order, into the missing shards of a workplace.

    Returns:
        The contents of all shards, and the failed photos with reasons.

    Raises:
        OSError: If a shard cannot be written.
    """
    lists = [work.shard_list(number) for number in range(work.shards_done())]
    taken = sum(contents["jobs"] for contents in lists)

    def attempt(job: Job) -> list[Developed] | str:
        try:
            return develop(job.record, job.examined, settings)
        except PhotoError as error:
            return str(error)

    results = ordered_map(attempt, jobs[taken:], workers)
    while taken < len(jobs):
        contents = _write_shard(work, results, taken, settings.shard_bytes, lambda done: progress("writing", done, len(jobs)))
        work.finish_shard(len(lists), contents)
        lists.append(contents)
        taken += contents["jobs"]
    written = [Written(jobs[job].record, jobs[job].split, jobs[job].examined.sharpness, values)
               for contents in lists for job, values in contents["photos"]]
    return written, [(jobs[job], message) for contents in lists for job, message in contents["failed"]]


def _write_shard(work: Workplace, results: Iterator[list[Developed] | str], first: int, room: int,
                 progress: Callable[[int], None]) -> dict[str, Any]:
    """Write photos until a shard is full; return its contents."""
    contents: dict[str, Any] = {"jobs": 0, "photos": [], "failed": []}
    with ShardWriter(work.open_folder, "streetview_images", 1 << 62) as shard:
        for result in results:
            job = first + contents["jobs"]
            contents["jobs"] += 1
            progress(job + 1)
            if isinstance(result, str):
                contents["failed"].append([job, result])
                continue
            for photo in result:
                shard.add(f"streetview/images/{photo.image_id}_undistorted.jpg", photo.jpeg)
                room -= len(photo.jpeg)
                contents["photos"].append([job, _values(photo)])
            if room <= 0:
                break
    return contents


def _values(photo: Developed) -> dict[str, Any]:
    """Return a photo's columns for the table."""
    return {"image_id": photo.image_id, "width": photo.width, "height": photo.height,
            "bearing_deg": _rounded(photo.bearing_deg), "hfov_deg": _rounded(photo.hfov_deg),
            "panorama_id": photo.panorama_id, "treatment": photo.treatment}


def _rounded(degrees: float | None) -> float | None:
    return None if degrees is None else round(degrees, 3)
