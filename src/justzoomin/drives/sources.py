"""Where the photos of a drive come from: one interface for photo files, bags and videos."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from justzoomin.data import PhotoCamera
from justzoomin.errors import JustZoomInError
from justzoomin.photos.readers import PhotoTime


@dataclass(frozen=True)
class TimedPhoto:
    """A photo of a drive, with what its source knows about it.

    Attributes:
        when: Its name, its time, the way and the turn since the previous photo, and its heading.
        photo: Path of its file, or the bytes of one.
        camera: Its camera; None if the source does not know it.
        frame: Name of the coordinate frame of its camera; empty if it has none.
        stamp_ns: Its time in nanoseconds since 1970, as the source states it; None to take that of `when`.
        recorded_ns: When it was recorded, in nanoseconds; None if that is its time.
    """

    when: PhotoTime
    photo: Path | bytes
    camera: PhotoCamera | None = None
    frame: str = ""
    stamp_ns: int | None = None
    recorded_ns: int | None = None


class DriveSource(Protocol):
    """A drive: photos in the order of their times."""

    @property
    def remarks(self) -> list[str]:
        """What the source does not use, in words; complete when all photos were read."""
        ...

    @property
    def most(self) -> int:
        """Greatest number of photos that it may yield."""
        ...

    def photos(self) -> Iterator[TimedPhoto | JustZoomInError]:
        """Yield the photos, earliest first, one at a time; an error instead of a photo that cannot be read.

        Raises:
            DataError: If the source is broken, so that no more photos can be read.
        """
        ...


@dataclass(frozen=True)
class PhotoFiles:
    """A drive of photo files whose times are known.

    Args:
        drive: The photos with their times, earliest first.
    """

    drive: Sequence[PhotoTime]
    remarks: list[str] = field(default_factory=list)

    @property
    def most(self) -> int:
        """Number of photos."""
        return len(self.drive)

    def photos(self) -> Iterator[TimedPhoto | JustZoomInError]:
        """Yield the photos."""
        return (TimedPhoto(when, when.path) for when in self.drive)
