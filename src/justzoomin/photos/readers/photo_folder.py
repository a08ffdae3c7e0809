"""Read a folder of photos whose EXIF says where they were taken."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from justzoomin.errors import PhotoError
from justzoomin.parallel import ordered_map
from justzoomin.photos.readers.camera_times import parse_zone
from justzoomin.photos.readers.exif import ExifFacts, exif_facts
from justzoomin.photos.readers.exif_times import drop_stuck_gps
from justzoomin.photos.readers.headers import read_header
from justzoomin.photos.readers.ids import unique_ids
from justzoomin.photos.readers.image_files import image_files
from justzoomin.photos.readers.options import Progress, SourceOptions
from justzoomin.photos.readers.records import PhotoRecord, Skipped

_BATCH = 128


def read_exif_folder(folder: Path, options: SourceOptions, progress: Progress | None = None
                     ) -> tuple[list[PhotoRecord], list[Skipped]]:
    """Read the photos below a folder (or one photo) that state their position.

    Raises:
        ConfigError: If the time zone is unknown.
        DataError: If a folder cannot be read.
        MissingExtraError: If there are HEIC files and pillow_heif is missing.
    """
    paths, skipped = ([folder], []) if folder.is_file() else image_files(folder)
    root = folder.parent if folder.is_file() else folder
    found = read_facts(paths, options, progress)
    located = []
    for path, facts in zip(paths, found, strict=True):
        item = path.relative_to(root).as_posix()
        if isinstance(facts, PhotoError):
            skipped.append(Skipped(item, "broken", facts.what))
        elif facts.no_camera:
            skipped.append(Skipped(item, "camera", facts.no_camera))
        elif facts.position is None:
            skipped.append(Skipped(item, "no_position", facts.no_position))
        else:
            located.append((path, facts))
    ids = ids_of_files([p for p, _ in located], root)
    return [PhotoRecord(image_id, path, facts.position[0], facts.position[1], f"{path.relative_to(root).as_posix()}, EXIF",
                        facts.captured_at, facts.bearing_deg, facts.camera, sequence_of(path, root, options),
                        facts.attribution, None, facts.extra)
            for image_id, (path, facts) in zip(ids, located, strict=True) if facts.position is not None], skipped


def ids_of_files(paths: Sequence[Path], root: Path) -> list[str]:
    """Make ids from paths below a folder, without their extensions.

    Raises:
        DataError: If a path occurs twice.
    """
    names = [p.relative_to(root) for p in paths]
    return unique_ids([n.with_suffix("").as_posix() for n in names], [n.as_posix() for n in names])


def sequence_of(path: Path, root: Path, options: SourceOptions) -> str | None:
    """Return the folder of a photo as its sequence, if the options ask for that."""
    return path.parent.relative_to(root).as_posix() if options.folder_sequences else None


def read_facts(paths: Sequence[Path], options: SourceOptions, progress: Progress | None = None
               ) -> list[ExifFacts | PhotoError]:
    """Return what each photo's header says or what is wrong with it, in order, without GPS times that stand still.

    Raises:
        ConfigError: If the time zone is unknown.
        MissingExtraError: If there are HEIC files and pillow_heif is missing.
    """
    zone = parse_zone(options.time_zone) if options.time_zone else None

    def facts(path: Path) -> ExifFacts | PhotoError:
        try:
            return exif_facts(read_header(path), zone, options.time_offset_s)
        except PhotoError as error:
            return error

    batches = (paths[k:k + _BATCH] for k in range(0, len(paths), _BATCH))
    workers = options.workers or min(8, 2 * (os.cpu_count() or 1))  # threads wait for the disk, not for a core
    results: list[ExifFacts | PhotoError] = []
    with warnings.catch_warnings():  # Pillow warns about sizes and unreadable EXIF; both are handled here
        warnings.simplefilter("ignore")
        for done in ordered_map(lambda batch: [facts(p) for p in batch], batches, workers):
            results += done
            if progress is not None:
                progress(len(results), len(paths))
    known = [r for r in results if isinstance(r, ExifFacts)]
    clocks = iter(drop_stuck_gps([r.taken for r in known], [(r.more.get("make"), r.more.get("model")) for r in known]))
    return [replace(r, taken=next(clocks)) if isinstance(r, ExifFacts) else r for r in results]
