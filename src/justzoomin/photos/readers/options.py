"""What a reader of a source may be told beyond the source itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from justzoomin.photos.readers.records import Camera

Progress = Callable[[int, int], None]
"""Called now and then with how many photos or rows were looked at, and how many there are."""

MAX_GAP_S = 60.0
"""Between two track points farther apart in time than this, nobody knows which way was taken."""


@dataclass(frozen=True)
class SourceOptions:
    """Options of reading a source; each reader uses those that concern it.

    Args:
        images: Folder of the images; None looks beside the table, track or JSON.
        columns: Role to column of a table, where its names do not tell: `{"lat": "Y", "lon": "X"}`.
        time_zone: Zone of cameras' clocks whose photos state none: `Europe/Stockholm`, `UTC` or `+02:00`.
        time_offset_s: Seconds to add to cameras' clocks to make them right. Given without a zone, it is what turns them
            into UTC.
        max_gap_s: Longest time between two points of a GPX track that is interpolated across.
        folder_sequences: The folder of a photo is its sequence (folders of photos with EXIF only).
        camera: Camera of photos whose source says nothing about theirs.
        attribution: Whom to name for photos whose source names nobody.
        license: Licence of photos whose source states none.
        workers: Threads that read headers; None for a few.
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
