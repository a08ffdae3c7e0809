"""What the demo makes for first tries: a few photos of both towns, and a drive with a table of times.

As real cameras do, the photos state their focal length in EXIF.
"""

from __future__ import annotations

import csv
import io
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from justzoomin.data import Dataset

PHOTOS = 6
DRIVE_PHOTOS = 16
SPEED = 14.0
"""Speed of the drive in metres per second; photos are at least a second apart."""
_SENSOR_CM = 3.6
_EXIF, _FOCAL_LENGTH, _PLANE_X, _PLANE_Y, _PLANE_UNIT = 0x8769, 0x920A, 0xA20E, 0xA20F, 0xA210
_START = datetime(2024, 5, 1, 10, 0, tzinfo=UTC)


def leave_photos(dataset: Dataset, folder: Path, count: int = PHOTOS) -> list[Path]:
    """Write the first photo of some drives of a town's split `val` as files and return the paths.

    A table `examples.csv` beside them tells their true places, for `jzi serve --examples`.

    Raises:
        OSError: If a file cannot be written.
    """
    from justzoomin.data import drives_of
    from justzoomin.files import write_bytes

    split = dataset.split("val")
    ids = split.image_ids
    drives = drives_of(dataset, "val") or ids
    firsts = [drives.index(drive) for drive in dict.fromkeys(drives)][:count]
    paths = [_write(dataset, ids[k], folder) for k in firsts]
    rows = [f"{path.name},{split.lat[k]},{split.lon[k]}\n" for path, k in zip(paths, firsts, strict=True)]
    write_bytes(folder / "examples.csv", "".join(["photo,lat,lon\n", *rows]).encode())
    return paths


def leave_drive(dataset: Dataset, folder: Path, count: int = DRIVE_PHOTOS) -> Path:
    """Write the photos of a town's first drive and `times.csv` for `jzi track --times`; return the path of the table.

    Raises:
        ConfigError: If there is a `times.csv` that the demo did not write.
        OSError: If a file cannot be written.
    """
    from justzoomin.data import drives_of
    from justzoomin.errors import ConfigError
    from justzoomin.files import write_bytes
    from justzoomin.geometry import haversine_m

    split, table = dataset.split("val"), folder / "times.csv"
    head = f"photo,time\n{split.image_ids[0]}.jpg,"
    if table.exists() and not table.read_bytes().startswith(head.encode()):
        raise ConfigError(table, "the file exists and was not written by a demo", "Give another folder with --out.")
    drives = drives_of(dataset, "val") or [""] * len(split)
    chosen = [k for k, drive in enumerate(drives) if drive == drives[0]][:count]
    text, time = io.StringIO(), _START
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["photo", "time"])
    for before, k in zip([chosen[0], *chosen], chosen, strict=False):
        way = float(haversine_m(split.lat[before], split.lon[before], split.lat[k], split.lon[k]))
        time += timedelta(seconds=max(1, math.ceil(way / SPEED)))
        rows.writerow([_write(dataset, split.image_ids[k], folder).name, time.isoformat().replace("+00:00", "Z")])
    return write_bytes(table, text.getvalue().encode())


def _write(dataset: Dataset, image_id: str, folder: Path) -> Path:
    from justzoomin.files import write_bytes

    data, camera = dataset.photos.read(image_id), dataset.cameras([image_id]).get(image_id)
    fov = None if camera is None else camera.fov_deg
    return write_bytes(folder / f"{image_id}.jpg", data if fov is None else with_focal_length(data, fov))


def with_focal_length(jpeg: bytes, fov_deg: float) -> bytes:
    """Return a JPEG without EXIF, with a focal length for a sensor 36 mm wide in EXIF; its picture is the same.

    Args:
        jpeg: The file.
        fov_deg: Horizontal field of view of the photo, in degrees.
    """
    from PIL import Image

    with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as picture:
        per_cm = picture.width / _SENSOR_CM
    tags = Image.Exif()
    tags.get_ifd(_EXIF).update({_FOCAL_LENGTH: 10.0 * _SENSOR_CM / 2.0 / math.tan(math.radians(fov_deg) / 2.0),
                                _PLANE_X: per_cm, _PLANE_Y: per_cm, _PLANE_UNIT: 3})
    segment = tags.tobytes()
    return jpeg[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + jpeg[2:]
