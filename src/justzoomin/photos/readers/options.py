"""Options for reading a source, beyond what the source itself says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from justzoomin.photos.readers.records import Camera

Progress = Callable[[int, int], None]
"""Called regularly with how many photos or rows were examined, and how many there are."""


class SourceOptions(BaseModel):
    """Options of reading a source. Each reader uses those that apply to it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    images: Path | None = Field(None, description="Folder of the images. Default: the folder of the table, track or JSON file.")
    columns: Mapping[str, str] = Field(default_factory=dict, description="Columns of a table whose names are not recognized: "
                                                                         "lat=Y,lon=X,image=FILE.")
    time_zone: str | None = Field(None, description="Time zone of camera clocks that state none: Europe/Stockholm, UTC or "
                                                    "+02:00.")
    time_offset_s: float | None = Field(None, description="Seconds to add to the camera clocks to correct them. Without "
                                                          "--time-zone the result counts as UTC.")
    max_gap_s: float = Field(60.0, description="Longest gap in seconds between two points of a GPX track in which positions "
                                               "are interpolated.")
    folder_sequences: bool = Field(False, description="Treat each folder of photos with EXIF as a sequence.")
    camera: Camera | None = Field(None, description="Camera of photos that state none: perspective, fisheye or "
                                  "equirectangular, then focal length divided by the longer side, k1, k2: "
                                  "fisheye,0.47,0.02,-0.01.")
    attribution: str | None = Field(None, description="Name to credit for photos that name nobody.")
    license: str | None = Field(None, description="Licence of photos that state none, such as CC-BY-SA-4.0.")
    workers: int | None = Field(None, description="Threads that read headers. Default: a few.")
