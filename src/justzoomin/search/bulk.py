"""Localizing very many photos into a file: bounded memory, resumable, what failed listed apart.

Results go to a journal first, a line of JSON per photo, in a folder beside the output. An interrupted job goes on behind the
photos that stand in it; when all are done, the output is written from it in one piece, beside it too, and gets its name if no
other file has it by then. What is removed last says that the job has ended: run again, it is not called an obstacle.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from justzoomin.errors import ConfigError, DataError, JustZoomInError
from justzoomin.files import folder_lock, open_to_write, refuse_links, sweep, sync
from justzoomin.geometry import grid_to_dict
from justzoomin.search.ending import Ending
from justzoomin.search.fix import Fix
from justzoomin.search.fix_files import check_suffix, write_failures, write_fixes
from justzoomin.search.localizer import Localizer

JOURNAL_FORMAT = "justzoomin-journal/3"
_SYNC_SECONDS = 2.0
_ERROR_KEYS = {"photo", "error", "file"}
_FIX_KEYS = {"photo", "lat", "lon", "sequence", "probabilities", "cell_size_m", "credible_radius_m", "radius_90_m",
             "no_data", "seconds", "map", "model", "searched", "decision", "calibrated", "not_calibrated", "prior", "on_map",
             "expected", "top_cells", "regions", "region_90", "covariance_m2", "entropy_bits", "file"}

Results = Iterable[Fix | JustZoomInError]
Progress = Callable[[int, int, int], None]


@dataclass(frozen=True)
class BulkReport:
    """What a job did.

    Attributes:
        out: The file of fixes; None where no photo could be localized.
        failures: The list of photos that could not be; None where there are none.
        localized: Photos with a fix.
        failed: Photos without.
        resumed: Photos that an earlier, interrupted job had done.
        seconds: Time of this job.
    """

    out: Path | None
    failures: Path | None
    localized: int
    failed: int
    resumed: int
    seconds: float


def localize_to_file(localizer: Localizer, photos: Sequence[Path], out: Path, *, batch_size: int = 16,
                     localize: Callable[[list[Path]], Results] | None = None,
                     progress: Progress | None = None) -> BulkReport:
    """Localize photos into `out`; go on with an interrupted job of the same output, model, map, grid and search.

    A photo that failed in the interrupted job, or whose file has changed since, is done again. The output has their order.

    Args:
        localizer: Model and map.
        photos: Paths; one that stands there twice is done once.
        out: File to write; its suffix says the format: .parquet, .jsonl, .geojson or .csv.
        batch_size: Photos encoded at once.
        localize: Does the work instead of the localizer, in the order of the paths (the work of many machines).
        progress: Called with photos done, those of them that an earlier job had done, and photos in all.

    Raises:
        ConfigError: If the suffix is unknown.
        DataError: If another file has the output's name, another job writes it, or the interrupted job had another model, map,
            grid, search, decision, prior or calibration.
        OSError: If it cannot be written.
    """
    started = time.perf_counter()
    check_suffix(out)
    wanted = list(dict.fromkeys(str(photo) for photo in photos))
    if not wanted:
        raise ConfigError("photos", "there is none", "Give photos, folders that hold some, or a list of them.")
    head, work = _head(localizer), refuse_links(out.parent, out.with_name(f".{out.name}.jzi-work"))
    failures = out.with_name(f"{out.name}.failed.csv")
    ending = Ending(work, out, hashlib.sha256(json.dumps([head, wanted]).encode()).hexdigest())
    with folder_lock(work, "localization"):
        sweep(work)
        done = ending.facts()
        if done is not None:  # killed after the output got its name
            ending.clear()
            return BulkReport(out, failures if done["failed"] else None, done["localized"], done["failed"], len(wanted),
                              time.perf_counter() - started)
        with Journal(work / "journal.jsonl", head) as journal:
            before = {name for name in wanted if journal.has_fix(name, _stamp(name))}
            _localize(localizer, journal, wanted, before, batch_size, localize, progress)
            failed = sum(1 for row in journal.rows(wanted) if "error" in row)
            if failed:
                write_failures((row for row in journal.rows(wanted) if "error" in row), failures)
            else:
                failures.unlink(missing_ok=True)
            if failed < len(wanted):
                result = work / f"result{out.suffix}"
                write_fixes((row for row in journal.rows(wanted) if "error" not in row), localizer.grid, result)
                ending.publish(result, {"localized": len(wanted) - failed, "failed": failed})
        ending.clear()
    return BulkReport(out if failed < len(wanted) else None, failures if failed else None, len(wanted) - failed, failed,
                      len(before), time.perf_counter() - started)


def _localize(localizer: Localizer, journal: Journal, wanted: list[str], before: set[str], batch_size: int,
              localize: Callable[[list[Path]], Results] | None, progress: Progress | None) -> None:
    """Localize the photos that the journal has no fix of, into the journal."""
    todo = [Path(name) for name in wanted if name not in before]
    done = len(before)
    if progress:
        progress(done, len(before), len(wanted))
    results = localize(todo) if localize else localizer.localize_many(todo, batch_size)
    for photo, result in zip(todo, results, strict=True):
        journal.add(str(photo), result, _stamp(str(photo)))
        done += 1
        if progress:
            progress(done, len(before), len(wanted))
    journal.sync()


def _head(localizer: Localizer) -> dict[str, Any]:
    return {"format": JOURNAL_FORMAT, "model": localizer.model_hash, "map": localizer.map_hash,
            "grid": grid_to_dict(localizer.grid), **localizer.asked()}


def _stamp(name: str) -> list[int]:
    """Size and time of a photo's file: another one under the same name is another photo."""
    with contextlib.suppress(OSError):
        status = Path(name).stat()
        return [status.st_size, status.st_mtime_ns]
    return []


def _json(line: bytes) -> Any:
    with contextlib.suppress(ValueError, RecursionError):
        return json.loads(line)
    return None


class Journal:
    """Results as lines of JSON, appended; the last line of a photo holds.

    Args:
        path: The file; made if missing.
        head: What the job depends on, the first line. A line that was cut in half by a crash is dropped.

    Raises:
        DataError: If the file was begun with another head, or is no journal.
    """

    def __init__(self, path: Path, head: dict[str, Any]) -> None:
        self.path = path
        self._places: dict[str, tuple[int, bool, list[int]]] = {}  # photo to offset, whether it is a fix, stamp of the file
        self._synced = time.monotonic()
        end = self._read(head) if path.exists() else 0
        self._file: IO[bytes] = open_to_write(path, "r+b" if end else "wb")
        self._file.seek(end)
        self._file.truncate()
        if not end:
            self._write(head)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.sync()
        self._file.close()

    def has_fix(self, photo: str, stamp: list[int]) -> bool:
        """Whether a photo was localized before, from the same file."""
        place = self._places.get(photo)
        return place is not None and place[1] and place[2] == stamp

    def add(self, photo: str, result: Fix | JustZoomInError, stamp: list[int]) -> None:
        """Append a result."""
        row = {"photo": photo, "error": str(result)} if isinstance(result, JustZoomInError) else result.to_dict()
        offset = self._write({**row, "file": stamp})
        self._places[photo] = (offset, isinstance(result, Fix), stamp)
        if time.monotonic() - self._synced > _SYNC_SECONDS:
            self.sync()

    def rows(self, photos: Iterable[str]) -> Iterator[dict[str, Any]]:
        """The results of photos, in their order, as plain values."""
        self._file.flush()
        with self.path.open("rb") as file:
            for photo in photos:
                file.seek(self._places[photo][0])
                row: dict[str, Any] = json.loads(file.readline())
                del row["file"]
                yield row

    def sync(self) -> None:
        """Bring everything to the disk."""
        sync(self._file)
        self._synced = time.monotonic()

    def _write(self, values: dict[str, Any]) -> int:
        offset = self._file.tell()
        self._file.write(json.dumps(values, ensure_ascii=True).encode() + b"\n")
        return offset

    def _read(self, head: dict[str, Any]) -> int:
        """Find the results of an interrupted job; returns where the last whole line ends."""
        end = 0
        with self.path.open("rb") as file:
            for number, line in enumerate(file):
                if not line.endswith(b"\n"):
                    break
                row = _json(line)
                if number == 0:
                    self._check(head, row)
                elif isinstance(row, dict) and row.keys() in (_FIX_KEYS, _ERROR_KEYS) and isinstance(row["photo"], str):
                    self._places[row["photo"]] = (end, "error" not in row, row["file"])
                else:
                    break
                end += len(line)
        return end

    def _check(self, head: dict[str, Any], found: Any) -> None:
        remedy = f"Finish it with what it began with, or remove {self.path.parent}."
        if not isinstance(found, dict) or found.get("format") != JOURNAL_FORMAT:
            raise DataError(self.path, "it is no journal of an interrupted localization", remedy)
        different = [key for key in head if found.get(key) != head[key]]
        if different:
            raise DataError(self.path, f"the interrupted job had another {' and '.join(different)}", remedy)


