"""A video as a source of timed photos."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from justzoomin.drives.bag_drive import JITTER
from justzoomin.drives.bag_images import MAX_PIXELS, encoded
from justzoomin.drives.sources import TimedPhoto
from justzoomin.errors import ConfigError, DataError, JustZoomInError, MissingExtraError, PhotoError
from justzoomin.photos.readers import PhotoTime
from justzoomin.untrusted import open_regular, printable

VIDEO_ENDINGS = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts")
_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts"
"""Containers that are opened. Others, such as playlists, can name files and addresses elsewhere."""
_ZERO = datetime(1970, 1, 1, tzinfo=UTC)


def is_video(path: Path) -> bool:
    """Return whether a path is called like a video."""
    return path.suffix.lower() in VIDEO_ENDINGS


@dataclass(frozen=True)
class VideoOptions:
    """How frames are taken from a video.

    Attributes:
        every_s: Seconds between frames; 0 for all.
        clock: Pairs of seconds in the video and their times, in order; between them, time runs evenly. Empty to take the
            video's own time of creation as that of its first frame.
        known_zone: Whether the times of `clock` are known in UTC.

    Raises:
        ConfigError: If a number is out of range, or the pairs are not in order.
    """

    every_s: float = 1.0
    clock: tuple[tuple[float, datetime], ...] = ()
    known_zone: bool = True

    def __post_init__(self) -> None:
        """Check the numbers."""
        if not 0 <= self.every_s < math.inf:
            raise ConfigError(f"--every {self.every_s:g}", "it is out of range", "Give seconds, or 0 for all frames.")
        for (a, first), (b, second) in zip(self.clock, self.clock[1:], strict=False):
            if not (a < b and first <= second):
                raise ConfigError("--times", f"second {b:g} of the video or its time does not come after second {a:g}",
                                  "Give rows in the order of their times.")

    def time(self, seconds: float) -> datetime:
        """Return the time of a second of the video, by `clock`."""
        if len(self.clock) == 1:
            return self.clock[0][1] + timedelta(seconds=seconds - self.clock[0][0])
        after = min(max(bisect_right([s for s, _ in self.clock], seconds), 1), len(self.clock) - 1)
        (a, first), (b, second) = self.clock[after - 1:after + 1]
        return first + (second - first) * ((seconds - a) / (b - a))


class VideoDrive:
    """A drive in a video file.

    Args:
        path: The video.
        options: Which frames are taken, and their times.

    Raises:
        DataError: If the file cannot be opened as a video.
        MissingExtraError: If the package av is not installed.
    """

    def __init__(self, path: Path, options: VideoOptions) -> None:
        self.path = path
        self.remarks: list[str] = []
        with _Opened(path) as opened:
            stream = opened.stream
            if not options.clock:
                options = self._own_clock(options, opened.container.metadata.get("creation_time"))
            seconds = float((opened.container.duration or 0) / 1e6)
            frames = int(stream.frames or math.ceil(seconds * float(stream.average_rate or 30)) + 1)
            thinned = math.ceil(seconds / options.every_s / (1 - JITTER)) + 1 if options.every_s and seconds else frames
        self.options = options
        self.most = max(min(frames, thinned), 1)
        """Number of frames expected; the file's own statement, which may be wrong."""

    def _own_clock(self, options: VideoOptions, stated: str | None) -> VideoOptions:
        """Return options with the time of creation that the video states; with an unknown zone if it states none."""
        try:
            start = datetime.fromisoformat(str(stated))
            if start.year < 1980:  # cameras without a clock write 1904 or 1970
                raise ValueError
        except ValueError:
            self.remarks.append(f"{self.path}: the video does not say when it was made, so its times begin at 0; give --times")
            return VideoOptions(options.every_s, ((0.0, _ZERO),), known_zone=False)
        known = start.tzinfo is not None
        return VideoOptions(options.every_s, ((0.0, start if known else start.replace(tzinfo=UTC)),), known)

    def photos(self) -> Iterator[TimedPhoto | JustZoomInError]:
        """Yield the frames, earliest first.

        Raises:
            DataError: If the video is broken before its first frame.
        """
        last: float | None = None
        first: float | None = None
        with _Opened(self.path) as opened:
            for number, frame in enumerate(opened.frames(), 1):
                if isinstance(frame, JustZoomInError):
                    if last is None:
                        raise frame
                    yield frame
                    return
                if frame.time is None:
                    continue
                first = float(frame.time) if first is None else first
                seconds = float(frame.time) - first
                if last is not None and (seconds < last or seconds - last < (1 - JITTER) * self.options.every_s):
                    continue
                last = seconds
                name = Path(f"{self.path}:{number}")
                try:
                    data = _image(frame, str(name))
                except PhotoError as error:
                    yield error
                    continue
                yield TimedPhoto(PhotoTime(name, self.options.time(seconds), self.options.known_zone), data)


class _Opened:
    """An open video; use it in a `with` statement."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            import av
        except ImportError as error:
            raise MissingExtraError("av", "video") from error
        self._av: Any = av

    def __enter__(self) -> _Opened:
        try:
            self._file = open_regular(self.path)
        except OSError as error:
            raise DataError(self.path, f"it cannot be read ({error.strerror})", "Give a readable video.") from error
        try:
            self.container: Any = self._av.open(self._file, container_options={"format_whitelist": _FORMATS,
                                                                               "protocol_whitelist": "file"})
            if not self.container.streams.video:
                raise DataError(self.path, "it holds no video", "Give a video.")
            self.stream: Any = self.container.streams.video[0]
            if self.stream.codec_context is None:
                raise DataError(self.path, "the codec of its video is unknown", "Convert the video to H.264.")
            size = self.stream.codec_context.width * self.stream.codec_context.height
            if size > MAX_PIXELS:
                raise DataError(self.path, f"its frames have {size:,} pixels", f"Frames of up to {MAX_PIXELS:,} are read.")
        except BaseException as error:
            if getattr(self, "container", None) is not None:
                self.container.close()
            self._file.close()
            if isinstance(error, self._av.error.FFmpegError | ValueError):
                raise DataError(self.path, f"it cannot be opened as a video ({_reason(error)})",
                                "Give an MP4, MOV, MKV, WebM, AVI or MPEG file.") from error
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.container.close()
        self._file.close()

    def frames(self) -> Iterator[Any]:
        """Yield the frames; at the end an error if the rest cannot be decoded."""
        self.stream.thread_type = "AUTO"
        rest = self.container.decode(self.stream)
        number = 0
        while True:
            try:
                frame = next(rest, None)
            except (self._av.error.FFmpegError, ValueError) as error:
                yield DataError(self.path, f"it is broken after frame {number} ({_reason(error)})", "Fetch the video again.")
                return
            if frame is None:
                return
            number += 1
            yield frame


def _image(frame: Any, where: str) -> bytes:
    """Return a frame as the bytes of an uncompressed image file, turned upright.

    Raises:
        PhotoError: If it is too large or cannot be converted.
    """
    if frame.width * frame.height > MAX_PIXELS:
        raise PhotoError(where, f"{frame.width} x {frame.height} pixels", f"Frames of up to {MAX_PIXELS:,} pixels are read.")
    try:
        pixels = frame.to_ndarray(format="bgr24")
    except (ValueError, OSError) as error:
        raise PhotoError(where, f"it cannot be converted ({_reason(error)})", "Convert the video to H.264.") from error
    quarter = round((getattr(frame, "rotation", 0) or 0) / 90) % 4
    return encoded(np.ascontiguousarray(np.rot90(pixels, quarter)) if quarter else pixels)


def _reason(error: BaseException) -> str:
    return printable(str(error) or type(error).__name__, 200).rstrip(".")
