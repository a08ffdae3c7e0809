"""Walks with a camera through a generated town: located photos, and imports of them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from PIL import Image

import fakes
from justzoomin.geometry import from_local
from justzoomin.maps import Map
from justzoomin.photos import ImportReport, ImportSettings, SplitSettings, import_photos
from justzoomin.photos.readers import PhotoRecord, Skipped, Source

SETTINGS = ImportSettings(split=SplitSettings(val_share=0.3), view_pixels=32)
START = datetime(2024, 5, 1, 8, 0, tzinfo=UTC)


def street(seed: int, size: tuple[int, int] = (160, 90)) -> np.ndarray:
    """Return a textured photo, different for each seed."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (9, 16, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    fine = rng.integers(-60, 61, (size[1], size[0], 1))
    return np.clip(np.asarray(coarse).astype(int) + fine, 0, 255).astype(np.uint8)


def record(folder: Path, number: int, data: bytes | None = None, east: float | None = None, north: float = 0.0,
           **values: object) -> PhotoRecord:
    """Write a photo and return its record; photos are in a line, 20 m apart."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"p{number:02d}.jpg"
    lat, lon = from_local(54.5, 3.0, -170 + 20.0 * number if east is None else east, north)
    path.write_bytes(fakes.with_exif(street(number), 1, (float(lat), float(lon))) if data is None else data)
    known = {"captured_at": START + timedelta(seconds=number), "sequence_id": f"drive{number // 4}", "attribution": "A. Walker",
             "license": "CC-BY-SA-4.0", **values}
    return PhotoRecord(path.stem, path, float(lat), float(lon), path.name, **known)


def source(folder: Path, records: list[PhotoRecord], *skipped: Skipped) -> Source:
    return Source(folder, "table", tuple(records), tuple(skipped))


def run(walk_: list[PhotoRecord], town: Path, dest: Path, settings: ImportSettings = SETTINGS,
        **options: object) -> ImportReport:
    """Import a walk."""
    return import_photos(source(walk_[0].path.parent, walk_), dest, Map.open(town), settings, **options)


def all_bytes(dest: Path) -> dict[str, bytes]:
    """Return every file of a dataset except the indexes of its shards."""
    return {str(p.relative_to(dest)): p.read_bytes() for p in sorted(dest.rglob("*"))
            if p.is_file() and ".jzi-index" not in str(p)}
