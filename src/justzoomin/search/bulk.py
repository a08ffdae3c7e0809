"""Localizing very many photos into a file, with bounded memory. Jobs can be resumed, and failures are listed separately.

Results go to a journal first, one line of JSON per photo, in a work folder beside the output. An interrupted job continues
after the photos in the journal. When all photos are done, the output is written from the journal in one piece, in the work
folder too, and gets its name if no other file has the name by then. The note that the job has ended is removed last, so that
the same command, run again, does not mistake the output for a foreign file.
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
from justzoomin.untrusted import printable

JOURNAL_FORMAT = "justzoomin-journal/4"
_ANY_JOURNAL = "justzoomin-journal/"
_SYNC_SECONDS = 2.0
_ERROR_KEYS = {"photo", "error", "file"}
_FIX_KEYS = {"photo", "lat", "lon", "sequence", "probabilities", "cell_size_m", "credible_radius_m", "radius_90_m",
             "no_data", "seconds", "map", "model", "searched", "decision", "calibrated", "not_calibrated", "prior", "on_map",
             "expected", "top_cells", "regions", "region_90", "covariance_m2", "entropy_bits", "heading_deg",
             "heading_sigma_deg", "heading_probs", "heading_prior", "camera", "file"}
_REGIONS = "other_regions"

Results = Iterable[Fix | JustZoomInError]
Progress = Callable[[int, int, int], None]


@dataclass(frozen=True)
class BulkReport:
    """Result of a job.

    Attributes:
        out: The file of fixes; None if no photo could be localized.
        failures: The list of photos that could not be localized; None if there are no such photos.
        localized: Number of photos with a fix.
        failed: Number of photos without a fix.
        resumed: Number of photos that an earlier, interrupted job had localized.
        seconds: Duration of this job in seconds.
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
    """Localize photos into `out`; continue an interrupted job with the same output, model, map, grid and search.

    A photo that failed in the interrupted job, or whose file has changed since, is localized again. The output keeps the order
    of the photos.

    Args:
        localizer: Model and map.
        photos: Paths; a path that occurs twice is localized once.
        out: File to write; its extension decides the format: .parquet, .jsonl, .geojson, .csv or .gpkg.
        batch_size: Photos encoded at once.
        localize: Function that localizes paths, in their order, instead of the localizer (on many machines, for instance).
        progress: Called with the number of photos done, of those that an earlier job had done, and of all photos.

    Raises:
        ConfigError: If the file extension is unsupported.
        DataError: If another file has the output's name, another job writes it, or the interrupted job had a different model,
            map, grid, search, decision, prior or calibration.
        OSError: If the output cannot be written.
    """
    started = time.perf_counter()
    check_suffix(out)
    wanted = list(dict.fromkeys(str(photo) for photo in photos))
    if not wanted:
        raise ConfigError("photos", "no photo was given", "Give photos, folders of photos, or a list of photos.")
    head, work = _head(localizer), refuse_links(out.parent, out.with_name(f".{out.name}.jzi-work"))
    failures = out.with_name(f"{out.name}.failed.csv")
    ending = Ending(work, out, hashlib.sha256(json.dumps([head, wanted]).encode()).hexdigest())
    with folder_lock(work, "localization"):
        sweep(work)
        done = ending.facts()
        if done is not None:  # the earlier job was killed after the output got its name
            ending.clear()
            return BulkReport(out, failures if done["failed"] else None, done["localized"], done["failed"], len(wanted),
                              time.perf_counter() - started)
        with Journal(work / "journal.jsonl", head, regions=out.suffix.lower() == ".gpkg") as journal:
            before = {name for name in wanted if journal.has_fix(name, _stamp(name))}
            _localize(localizer, journal, wanted, before, batch_size, localize, progress)
            failed = sum(1 for row in journal.rows(wanted) if "error" in row)
            if failed:
                write_failures((row for row in journal.rows(wanted) if "error" in row), failures)
            else:
                failures.unlink(missing_ok=True)
            if failed < len(wanted):
                result = work / f"result{out.suffix}"
                write_fixes((row for row in journal.rows(wanted) if "error" not in row), localizer.grid, result,
                            localizer.map.attribution)
                ending.publish(result, {"localized": len(wanted) - failed, "failed": failed})
        ending.clear()
    return BulkReport(out if failed < len(wanted) else None, failures if failed else None, len(wanted) - failed, failed,
                      len(before), time.perf_counter() - started)


def _localize(localizer: Localizer, journal: Journal, wanted: list[str], before: set[str], batch_size: int,
              localize: Callable[[list[Path]], Results] | None, progress: Progress | None) -> None:
    """Localize the photos without a fix in the journal, and add the results to it."""
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
    """Return size and time of a photo's file, to notice when another file has taken its name."""
    with contextlib.suppress(OSError):
        status = Path(name).stat()
        return [status.st_size, status.st_mtime_ns]
    return []


def _json(line: bytes) -> Any:
    with contextlib.suppress(ValueError, RecursionError):
        return json.loads(line)
    return None


class Journal:
    """Results as appended lines of JSON; the last line of a photo is valid. A line that a crash cut short is dropped.

    Args:
        path: The file; made if missing.
        head: The first line: everything that the results depend on.
        regions: Whether rows keep `Fix.other_regions` too.

    Raises:
        DataError: If the file has a different head, or is not a journal.
    """

    def __init__(self, path: Path, head: dict[str, Any], *, regions: bool = False) -> None:
        self.path, self._regions = path, regions
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
        """Return whether a photo was already localized from the same file."""
        place = self._places.get(photo)
        return place is not None and place[1] and place[2] == stamp

    def add(self, photo: str, result: Fix | JustZoomInError, stamp: list[int]) -> None:
        """Append the result of a photo. It outlives the process at once, and a power cut after at most `_SYNC_SECONDS`."""
        row: dict[str, Any] = {"photo": photo, "error": str(result)}
        if isinstance(result, Fix):
            row = {**result.to_dict(), **({_REGIONS: result.other_regions} if self._regions else {})}
        offset = self._write({**row, "file": stamp})
        self._file.flush()
        self._places[photo] = (offset, isinstance(result, Fix), stamp)
        if time.monotonic() - self._synced > _SYNC_SECONDS:
            self.sync()

    def rows(self, photos: Iterable[str]) -> Iterator[dict[str, Any]]:
        """Return the results of photos, in their order, as plain values."""
        self._file.flush()
        with self.path.open("rb") as file:
            for photo in photos:
                file.seek(self._places[photo][0])
                row: dict[str, Any] = json.loads(file.readline())
                del row["file"]
                yield row

    def sync(self) -> None:
        """Flush everything to the disk."""
        sync(self._file)
        self._synced = time.monotonic()

    def _write(self, values: dict[str, Any]) -> int:
        offset = self._file.tell()
        self._file.write(json.dumps(values, ensure_ascii=True).encode() + b"\n")
        return offset

    def _read(self, head: dict[str, Any]) -> int:
        """Find the results of an interrupted job and return the end of the last complete line."""
        end, fix_keys = 0, _FIX_KEYS | ({_REGIONS} if self._regions else set())
        with self.path.open("rb") as file:
            for number, line in enumerate(file):
                if not line.endswith(b"\n"):
                    break
                row = _json(line)
                if number == 0:
                    self._check(head, row)
                elif isinstance(row, dict) and row.keys() in (fix_keys, _ERROR_KEYS) and isinstance(row["photo"], str):
                    self._places[row["photo"]] = (end, "error" not in row, row["file"])
                else:
                    break
                end += len(line)
        return end

    def _check(self, head: dict[str, Any], found: Any) -> None:
        remedy = f"Run the job again with its original options, or remove {self.path.parent}."
        written = found.get("format") if isinstance(found, dict) else None
        if isinstance(written, str) and written != JOURNAL_FORMAT and written.startswith(_ANY_JOURNAL):
            raise DataError(self.path, f"another version of justzoomin wrote it ({printable(written, 40)}, not "
                            f"{JOURNAL_FORMAT})",
                            f"Finish the job with that version, or remove {self.path.parent} to start again.")
        if not isinstance(found, dict) or written != JOURNAL_FORMAT:
            raise DataError(self.path, "it is not the journal of an interrupted localization", remedy)
        different = [key for key in head if found.get(key) != head[key]]
        if different:
            raise DataError(self.path, f"the interrupted job differs in {' and '.join(different)}", remedy)


