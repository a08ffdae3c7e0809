"""The drive that the arguments of a command name: photo files, a bag or a video."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from justzoomin.apps.shared.bag_options import BagArguments
from justzoomin.apps.shared.photo_arguments import expand

if TYPE_CHECKING:
    from justzoomin.drives import DriveSource
    from justzoomin.errors import JustZoomInError
    from justzoomin.photos.readers import ListedPhoto
    from justzoomin.search import DriveOptions

_EVERY_S = 1.0


@dataclass(frozen=True)
class NamedDrive:
    """The drive that arguments name.

    Attributes:
        source: Its photos.
        failed: Photos that cannot be used, known before any is read.
        remarks: What else the arguments hold, in words.
        listed: What lists state about photos, by path.
        is_bag: Whether it is a bag.
    """

    source: DriveSource
    failed: list[JustZoomInError] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    listed: dict[str, ListedPhoto] = field(default_factory=dict)
    is_bag: bool = False


def drive_of(paths: list[Path], times: Path | None, zone: str | None, asked: BagArguments, options: DriveOptions, *,
             fov: float | None = None, declination: float | None = None) -> NamedDrive:
    """Return the drive that arguments name, whichever kind it is.

    Args:
        paths: The arguments.
        times: Table or track of times.
        zone: Zone of times that state none.
        asked: Options for bags and videos.
        options: How the drive is tracked.
        fov: Field of view of all photos, which counts before a CameraInfo.
        declination: Degrees from true to magnetic north.

    Raises:
        ConfigError: If an option does not fit the kind of drive.
        DataError: If the bag, video or table cannot be read.
        MissingExtraError: If the package that reads it is not installed.
    """
    from justzoomin.drives import is_bag, is_video
    from justzoomin.errors import ConfigError

    bags, videos = [p for p in paths if is_bag(p)], [p for p in paths if is_video(p) and not p.is_dir()]
    if (bags or videos) and len(paths) > 1:
        raise ConfigError((bags or videos)[0], "a bag or a video is a drive of its own", "Track one at a time.")
    if bags:
        return _bag(bags[0], times, asked, options, fov, declination)
    wrong = {name for name in asked.given() if not (videos and name == "--every")}
    if asked.camera_yaw:
        wrong.discard("--camera-yaw")  # also for the fixes of other drives
    if wrong:
        raise ConfigError(min(wrong), "it is for bags" + " and videos" * (wrong == {"--every"}), "Leave it out.")
    return _video(videos[0], times, zone, asked) if videos else _files(paths, times, zone, options)


def _bag(path: Path, times: Path | None, asked: BagArguments, options: DriveOptions, fov: float | None,
         declination: float | None) -> NamedDrive:
    from justzoomin.drives import Bag, BagDrive, BagOptions, MotionRules
    from justzoomin.errors import ConfigError
    from justzoomin.posterior import DEFAULT_SIGMA_DEG

    if times is not None:
        raise ConfigError("--times", "a bag has times of its own", "Leave it out.")
    if declination is not None and asked.imu_topic is None:
        raise ConfigError("--declination", "it is for headings, and no --imu-topic is given", "Give it, or leave this out.")
    if asked.image_topic is None:
        with Bag(path) as bag:
            raise ConfigError(f"{path}, --image-topic", "a bag needs the topic of its photos. " + bag.images(),
                              "Give --image-topic TOPIC.")
    sigma = DEFAULT_SIGMA_DEG if options.heading_sigma is None else options.heading_sigma
    return NamedDrive(BagDrive(path, BagOptions(
        asked.image_topic, asked.odom_topic, asked.imu_topic, asked.info_topic, fov is None,
        _EVERY_S if asked.every is None else asked.every,
        MotionRules(asked.odom_heading, asked.camera_yaw, declination or 0.0, sigma, options.drift), asked.recorded)),
        is_bag=True)


def _video(path: Path, times: Path | None, zone: str | None, asked: BagArguments) -> NamedDrive:
    from justzoomin.drives import VideoDrive, VideoOptions
    from justzoomin.photos.readers import video_clock

    clock, known = ((), True) if times is None else video_clock(times, zone)
    return NamedDrive(VideoDrive(path, VideoOptions(_EVERY_S if asked.every is None else asked.every, clock, known)))


def _files(paths: list[Path], times: Path | None, zone: str | None, options: DriveOptions) -> NamedDrive:
    from justzoomin.drives import PhotoFiles
    from justzoomin.errors import JustZoomInError
    from justzoomin.photos.readers import times_from_exif, times_from_table

    found, remarks, listed = expand(paths)
    files = [f for f in found if not isinstance(f, JustZoomInError)]
    drive, timeless = times_from_table(files, times, zone) if times is not None else times_from_exif(files, zone)
    options.check(drive)
    failed = [f for f in (*found, *timeless) if isinstance(f, JustZoomInError)]
    return NamedDrive(PhotoFiles(drive), failed, remarks, listed)
