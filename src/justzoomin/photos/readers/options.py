"""Options for reading a source, beyond what the source itself says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from justzoomin.photos.readers.records import Camera

Progress = Callable[[int, int], None]
"""Called regularly with how many photos or rows were examined, and how many there are."""

MAX_GAP_S = 60.0
"""Between two track points farther apart in time than this, the way is unknown."""


@dataclass(frozen=True)
class SourceOptions:
    """Options for reading a source; each reader uses those that apply to it.

    Args:
        images: Folder of the images; default: beside the table, track or JSON.
        columns: Role to column of a table, if the names are not recognized: `{"lat": "Y", "lon": "X"}`.
        time_zone: Zone of the cameras' clocks for photos that state none: `Europe/Stockholm`, `UTC` or `+02:00`.
        time_offset_s: Seconds to add to the cameras' clocks to correct them. Without a zone, they convert the clocks to UTC.
        max_gap_s: Longest time between two points of a GPX track for interpolation.
        folder_sequences: Whether a photo's folder is its sequence (only for folders of photos with EXIF).
        camera: Camera of photos whose source says nothing about it.
        attribution: Whom to credit for photos whose source credits nobody.
        license: Licence of photos whose source states none.
        workers: Number of threads that read headers; None for a few.
    """

    images: Path | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    time_zone: str | None = None
    time_offset_s: float | None = None
    max_gap_s: float = MAX_GAP_S
    folder_sequences: bool = False
    camera: Camera | None = None
    attribution: str | None = None
    license: str | None = None
    workers: int | None = None
