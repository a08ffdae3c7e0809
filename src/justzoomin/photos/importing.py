"""Make a dataset in the card's layout from located photos and a map."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from justzoomin.errors import ConfigError, DataError, PhotoError
from justzoomin.files import write_bytes, write_json
from justzoomin.geometry import ZoomGrid, save_grid
from justzoomin.maps import Map
from justzoomin.parallel import ordered_map
from justzoomin.photos.card import attribution_text, card_text
from justzoomin.photos.developing import Examined, check_camera, examine, image_ids
from justzoomin.photos.mapfiles import MapFiles, bring_map, map_folder, repository_of
from justzoomin.photos.places import place_photos
from justzoomin.photos.quality import Seen, find_twins
from justzoomin.photos.readers import NOT_A_PHOTO, PhotoRecord, Skipped, Source
from justzoomin.photos.report import ImportReport
from justzoomin.photos.settings import ImportSettings
from justzoomin.photos.shards import Job, write_shards
from justzoomin.photos.splits import Splits, assign_splits
from justzoomin.photos.workplace import Workplace, check_dest, key_of, read_json
from justzoomin.photos.writing import Written, write_tables
from justzoomin.spelling import SPELLED

Progress = Callable[[str, int, int], None]

REPORT = "import-report.json"
_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGITS = 7
"""Decimal places of written degrees: about a centimetre."""
_NO_IMAGE = {"missing_file", "ambiguous_file", "outside"}
"""Kinds of dropped photos whose image, named by the source, was not found."""
_VERSION = 2
_MANY = 1000
"""From this many examined photos on, the results are kept for the next try even if the import is refused."""


def import_photos(source: Source, dest: Path, onto: Map, settings: ImportSettings | None = None, *,
                  grid: ZoomGrid | None = None, workers: int | None = None, progress: Progress | None = None,
                  report_to: Path | None = None) -> ImportReport:
    """Make a dataset from located photos and a map.

    A killed or interrupted import continues where it stopped when it is run again. The written bytes do not depend on the
    number of workers or on the order of the source.

    Args:
        source: The located photos.
        dest: Folder of the dataset: a new one, or the map's own, to which the photos are then added.
        onto: The map.
        settings: What to drop, how to prepare photos, how to split them.
        grid: The zoom grid; default: the map's.
        workers: Number of threads; None for one per core. It does not affect what is written.
        progress: Called with stage (`looking`, `writing`, `map`), done and total.
        report_to: File for the report, which is also written if the import is refused.

    Raises:
        DataError: If no photo is left, `dest` is unsuitable for a dataset, or ids clash.
        ConfigError: If a split would be empty.
        LayoutError: If the map cannot be included.
        OSError: If a file cannot be written.
    """
    run = _Import(source, Path(dest), onto, settings or ImportSettings(), grid or onto.grid, workers, progress)
    try:
        run.run()
    finally:
        if report_to is not None and (run.report.skipped or run.report.splits):
            write_json(run.report.to_dict(), report_to)
    return run.report


class _Import:
    def __init__(self, source: Source, dest: Path, onto: Map, settings: ImportSettings, grid: ZoomGrid, workers: int | None,
                 progress: Progress | None) -> None:
        self.source, self.dest, self.map, self.settings, self.grid = source, dest, onto, settings, grid
        self.workers = workers
        self.progress = progress or (lambda stage, done, total: None)
        self.root = source.path if source.path.is_dir() else source.path.parent
        found = len(source.records) + sum(skipped.kind != NOT_A_PHOTO for skipped in source.skipped)
        self.report = ImportReport(dest, found, notes=list(source.notes))
        for skipped in source.skipped:
            self.skip(skipped.item, skipped.kind, skipped.detail)

    def skip(self, item: str, kind: str, detail: str) -> None:
        """Record a dropped photo, with file names relative to the source's folder."""
        for root in dict.fromkeys((f"{self.root.resolve()}/", f"{self.root}/")):
            item, detail = (text.replace(root, "") if root != "./" else text for text in (item, detail))
        self.report.skipped.append(Skipped(item, kind, detail))

    def run(self) -> None:
        in_place = self.dest.is_dir() and self.dest.resolve() == repository_of(self.map).resolve()
        work = Workplace(self.dest, in_place)
        if work.publishing():
            self._finish_interrupted(work)
            return
        work.sweep()
        check_dest(self.dest, in_place)
        self._check_region(in_place)
        records = self._ordered(self._on_map(self._with_position()))
        # A split that is empty with all photos is also empty with fewer, so report it before they are examined.
        assign_splits(records, self.settings.split.model_copy(update={"guard_m": 0.0}), self.grid.region.centre)
        with work.locked(keep_when_refused=len(records) >= _MANY):
            kept = self._worth_keeping(records, self._examine(records, work))
            shared = assign_splits([record for record, _ in kept], self.settings.split, self.grid.region.centre)
            photos = self._write_photos(work, self._jobs(kept, shared))
            if in_place:
                files = MapFiles()
                folder = map_folder(self.map).resolve()
                if not (folder / "region.yaml").is_file():
                    save_grid(self.grid, work.out / folder.relative_to(self.dest.resolve()) / "region.yaml")
            else:
                files = bring_map(self.map, self.grid, work.out, lambda done, total: self.progress("map", done, total))
            self._describe(work, photos, shared, files)
            work.publish()

    # --- before the photos -------------------------------------------------------------------------------------------

    def _finish_interrupted(self, work: Workplace) -> None:
        """Finish a run that was killed while it moved finished files into place, whatever the current request is."""
        with work.locked():
            work.publish_rest()
        self.report = ImportReport.from_dict(read_json(self.dest / REPORT), self.dest)
        self.report.notes.append("an import that was interrupted at its very end is now complete; nothing else was imported")

    def _check_region(self, in_place: bool) -> None:
        if in_place and (map_folder(self.map) / "region.yaml").is_file():
            own = Map.open(self.map.root).grid
            if own != self.grid:
                raise ConfigError("--region", f"{self.dest} already has a different region", "Import into another folder.")

    def _with_position(self) -> list[PhotoRecord]:
        """Return records with positions as they will be written.

        Raises:
            DataError: If an id is invalid or used by two photos.
        """
        seen: dict[str, str] = {}
        records = []
        for record in self.source.records:
            if not _ID.fullmatch(record.image_id):
                raise DataError(f"{record.source}, image_id {record.image_id[:80]!r}", "the id is invalid",
                                "Use only letters, digits, _, - and ., and at most 128 characters.")
            for image_id in image_ids(record, self.settings):
                if image_id in seen:
                    raise DataError(f"{record.source}, image_id {image_id}", f"this id is used twice ({seen[image_id]})",
                                    "Give every photo an id of its own.")
                seen[image_id] = record.source
            lat, lon = round(record.lat, _DIGITS), round(record.lon, _DIGITS)
            if abs(lat) <= 90.0 and abs(lon) <= 360.0:  # nan is neither
                records.append(replace(record, lat=lat, lon=lon))
            else:
                self.skip(record.image_id, "no_position", f"position {record.lat}, {record.lon} is invalid ({record.source})")
        if not records:
            raise self._no_photo_left()
        return records

    def _no_photo_left(self) -> DataError:
        """Explain why no photo is left; if images were not found, the positions may well exist."""
        kinds = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in self.report.dropped().items())
        lost = [skipped for skipped in self.report.skipped if skipped.kind in _NO_IMAGE]
        if lost:
            return DataError(self.source.path, f"{len(lost):,} of its images were not found, and no photo is left ({kinds}). "
                             f"The first: {lost[0].item}: {lost[0].detail}",
                             "Give the folder of the images with --images.")
        return DataError(self.source.path, f"the source has no photo with a position ({kinds or 'no photo at all'})",
                         "Give photos with EXIF positions, a table with positions, or a GPX track.")

    def _on_map(self, records: Sequence[PhotoRecord]) -> list[PhotoRecord]:
        """Return the records on the map.

        Raises:
            DataError: If there are none.
        """
        placed = place_photos(records, self.map, self.grid, self.settings.view_pixels)
        for skipped in placed.skipped:
            self.skip(skipped.item, skipped.kind, skipped.detail)
        if not placed.inside:
            centre = self.grid.region.centre
            raise DataError(self.source.path, f"none of its {len(records):,} photos is on the map: {placed.summary}",
                            f"Latitude and longitude are swapped in {placed.swapped:,} of them: correct the source."
                            if placed.swapped == len(records) else
                            f"The region reaches {self.grid.region.size_m / 2:g} m from {centre.lat:.6f}, {centre.lon:.6f}: "
                            "give the map of the place where the photos were taken.")
        return [records[index] for index in placed.inside]

    def _ordered(self, records: Sequence[PhotoRecord]) -> list[PhotoRecord]:
        """Return records in the order they were taken; those without a time last, by id."""
        def moment(record: PhotoRecord) -> tuple[bool, datetime, str]:
            taken = record.captured_at
            if taken is None:
                return True, datetime.max.replace(tzinfo=UTC), record.image_id
            return False, taken if taken.tzinfo else taken.replace(tzinfo=UTC), record.image_id

        return sorted(records, key=moment)

    # --- looking at photos -------------------------------------------------------------------------------------------

    def _examine(self, records: Sequence[PhotoRecord], work: Workplace) -> list[Examined]:
        """Return what the files show, using the results of an earlier run if there are any."""
        known = work.examined()
        keys = [_file_key(record.path) for record in records]
        found = {key: known[key] for key in keys if key in known}
        if found:
            self.report.notes.append(f"an earlier import was interrupted; {len(found):,} photos were not examined again")
        missing = [(key, record.path) for key, record in zip(keys, records, strict=True) if key not in found]
        with work.examination_log() as log:
            results = ordered_map(lambda item: examine(item[1]), missing, self.workers)
            for done, ((key, _), result) in enumerate(zip(missing, results, strict=True), 1):
                found[key] = result
                if key[1] >= 0:
                    log.add(key, result)
                self.progress("looking", done + len(records) - len(missing), len(records))
        return [found[key] for key in keys]

    def _worth_keeping(self, records: Sequence[PhotoRecord],
                       examined: Sequence[Examined]) -> list[tuple[PhotoRecord, Examined]]:
        """Return the photos that are intact, large and sharp enough, possible with their camera, and not duplicates.

        Raises:
            DataError: If no photo is left.
        """
        good = []
        for record, seen in zip(records, examined, strict=True):
            reason = self._flaw(record, seen)
            if reason:
                self.skip(record.image_id, *reason)
            else:
                good.append((record, seen))
        if self.settings.duplicate_m is not None and good:
            seen_ = [Seen(e.digest, e.hash, r.lat, r.lon) for r, e in good]
            twins = find_twins(seen_, self.grid.region.centre, self.settings.duplicate_m, self.settings.duplicate_bits)
            for twin in twins:
                words = "the same file as" if twin.same_bytes else "looks like"
                self.skip(good[twin.index][0].image_id, "duplicate",
                          f"{words} {good[twin.of][0].image_id}, {twin.distance_m:.1f} m away")
            gone = {twin.index for twin in twins}
            good = [pair for index, pair in enumerate(good) if index not in gone]
        if not good:
            kinds = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in self.report.dropped().items())
            raise DataError(self.source.path, f"no photo is left of {self.report.found:,} ({kinds})",
                            "See what was dropped with --report FILE; --keep-blurred and --keep-duplicates keep more.")
        return good

    def _flaw(self, record: PhotoRecord, seen: Examined) -> tuple[str, str] | None:
        """Return the kind and a description of what is wrong with a photo."""
        if seen.broken is not None:
            return "broken", seen.broken
        if min(seen.width, seen.height) < self.settings.min_side:
            return "too_small", f"{seen.width} x {seen.height} px; the shorter side must have {self.settings.min_side}"
        try:
            check_camera(record.camera, seen.width, seen.height, self.settings.max_hfov_deg)
        except PhotoError as error:
            return "camera", str(error)
        least = self.settings.min_sharpness
        if least is not None and seen.sharpness < least:
            return "blurred", f"sharpness {seen.sharpness:.4f}, below {least:g}"
        return None

    # --- writing -----------------------------------------------------------------------------------------------------

    def _jobs(self, kept: Sequence[tuple[PhotoRecord, Examined]], shared: Splits) -> list[Job]:
        """Return the photos to write with their splits, in order."""
        split = {**dict.fromkeys(shared.train, "train"), **dict.fromkeys(shared.val, "val")}
        guard = self.settings.split.guard_m
        for index in shared.guarded:
            self.skip(kept[index][0].image_id, "guard", f"nearer than {guard:g} m to a validation photo")
        self.report.notes += shared.notes
        return [Job(*kept[index], split[index]) for index in sorted(split)]

    def _write_photos(self, work: Workplace, jobs: Sequence[Job]) -> list[Written]:
        """Write all shards; photos that fail only now are dropped."""
        key = key_of(_VERSION, self.settings, *((job.record, job.examined.digest, job.split) for job in jobs))
        if work.start(key):
            self.report.notes.append(f"{work.shards_done()} shards of photos already existed")
        written, failed = write_shards(work, jobs, self.settings, self.workers, self.progress)
        for job, message in failed:
            self.skip(job.record.image_id, "broken", message)
        return written

    def _describe(self, work: Workplace, photos: Sequence[Written], shared: Splits, files: MapFiles) -> None:
        """Write tables, card, attribution and report.

        Raises:
            DataError: If a split lost its last photo during writing.
        """
        for name in ("train", "val"):
            if not any(photo.split == name for photo in photos):
                raise DataError(f"split {name}", "none of its photos could be written", "See the report: --report FILE.")
        counts = {"groups": shared.groups, "left_out_by_guard": len(shared.guarded)}
        self.report.splits = write_tables(photos, self.grid, work.out, self.settings, self.root, counts)
        self.report.treatments = dict(sorted(Counter(p.values["treatment"] for p in photos).items()))
        self.report.map_files = {"linked": files.linked, "copied": files.copied, "copied_bytes": files.copied_bytes}
        self.report.attribution = attribution_text(photos, self.map.attribution)
        unsaid = sum(p.record.license is None for p in photos)
        if unsaid:
            self.report.notes.append(f"{unsaid:,} photos state no licence; --license sets one for them")
        card = card_text(photos, self.report.splits, self.grid, self.settings, self.report.dropped(),
                         self.dest.resolve().name or "Street photos")
        name = "README.md"
        if work.in_place and (self.dest / name).exists():
            name = "README-photos.md"
            self.report.notes.append(f"the map's {self.dest / 'README.md'} is kept; the card of the photos is {name}")
        write_bytes(work.out / name, card.encode("utf-8", SPELLED))
        write_bytes(work.out / "ATTRIBUTION", self.report.attribution.encode("utf-8", SPELLED))
        write_json(self.report.to_dict(), work.out / REPORT)


def _file_key(path: Path) -> tuple[str, int, int]:
    """Return path, size and modification time of a file; -1 for both numbers if it is missing."""
    try:
        status = path.stat()
    except OSError:
        return str(path), -1, -1
    return str(path), status.st_size, status.st_mtime_ns
