"""A bag as a source of timed photos."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from justzoomin.drives.bag_cameras import CAMERA_INFO, BagCamera, info_topic
from justzoomin.drives.bag_images import COMPRESSED, RAW, image_bytes
from justzoomin.drives.bag_motion import HEADINGS, ODOMETRY, Facing, HeadingTrack, OdometryTrack, Pose
from justzoomin.drives.bags import Bag, Message
from justzoomin.drives.sources import TimedPhoto
from justzoomin.errors import ConfigError, DataError, JustZoomInError
from justzoomin.photos.readers import PhotoTime
from justzoomin.untrusted import printable

_EARLIEST_NS = 10**18
"""Times before 2001 come from a clock that does not know the date, such as that of a simulation."""
_LATEST_NS = 10**19
JITTER = 0.1
"""A photo may come this share of the wanted interval too early."""


@dataclass(frozen=True)
class BagOptions:
    """Which topics of a bag are used, and how.

    Attributes:
        image_topic: Topic of the photos.
        odom_topic: Topic of odometry; None to use none.
        heading_topic: Topic of an IMU or a compass; None to use none.
        info_topic: Topic of the CameraInfo; None for the one beside the images, if there is one.
        camera_info: Whether to use a CameraInfo at all.
        every_s: Seconds between photos; 0 for all.
        odom_heading: Heading of the odometer's first axis in degrees clockwise from north, such as 90 if its axes are east and
            north; None if unknown.
        camera_yaw: Degrees that the camera looks to the right of the robot's own forward direction.
        declination: Degrees from true to magnetic north, for headings from magnetic north.
        heading_sigma: Spread in degrees of headings whose messages state none.
        drift: Error of odometry that states none, as a share of the distance.
        recorded: Whether the time of recording counts, and not the time in the messages' headers.

    Raises:
        ConfigError: If a number is out of range; it names the option of `jzi track`.
    """

    image_topic: str
    odom_topic: str | None = None
    heading_topic: str | None = None
    info_topic: str | None = None
    camera_info: bool = True
    every_s: float = 1.0
    odom_heading: float | None = None
    camera_yaw: float = 0.0
    declination: float = 0.0
    heading_sigma: float = 20.0
    drift: float = 0.05
    recorded: bool = False

    def __post_init__(self) -> None:
        """Check the numbers."""
        if not 0 <= self.every_s < math.inf:
            raise ConfigError(f"--every {self.every_s:g}", "it is out of range", "Give seconds, or 0 for all photos.")
        for value, option in ((self.odom_heading or 0.0, "--odom-heading"), (self.camera_yaw, "--camera-yaw"),
                              (self.declination, "--declination")):
            if not -360.0 <= value <= 360.0:
                raise ConfigError(f"{option} {value:g}", "it is out of range", "Give degrees.")


class _Known(NamedTuple):
    """What a bag knows at the time of a photo."""

    pose: Pose | None
    facing: Facing | None


class BagDrive:
    """A drive in a bag of ROS 1 or ROS 2. The topics are checked at once, the photos are read one at a time.

    Args:
        path: The bag: a `.bag`, `.mcap` or `.db3` file, or a folder with `metadata.yaml`.
        options: Topics and how they are used.

    Raises:
        DataError: If the bag cannot be read, or a topic is missing or has messages of another type.
        MissingExtraError: If the package rosbags is not installed.
    """

    def __init__(self, path: Path, options: BagOptions) -> None:
        self.path, self.options = path, options
        self.remarks: list[str] = []
        with Bag(path) as bag:
            self._kind = bag.require(options.image_topic, (COMPRESSED, RAW), "--image-topic")
            if options.odom_topic is not None:
                bag.require(options.odom_topic, (ODOMETRY,), "--odom-topic")
            if options.heading_topic is not None:
                bag.require(options.heading_topic, HEADINGS, "--imu-topic")
            self._info = options.info_topic
            if options.info_topic is not None:
                bag.require(options.info_topic, (CAMERA_INFO,), "--info-topic")
            elif bag.kind_of(info_topic(options.image_topic)) == CAMERA_INFO:
                self._info = info_topic(options.image_topic)
            if not options.camera_info:
                self._info = None
            count = bag.count(options.image_topic)
            by_time = count if not options.every_s else math.ceil(bag.duration_s / options.every_s / (1 - JITTER)) + 1
        self.most = min(count, by_time)
        """Greatest number of photos that it may yield."""

    def photos(self) -> Iterator[TimedPhoto | JustZoomInError]:
        """Yield the photos, earliest first; an error instead of a photo that cannot be read or whose time goes back.

        Raises:
            DataError: If the bag is broken, so that no more photos can be read.
        """
        options = self.options
        with Bag(self.path) as bag:
            odometry = None if options.odom_topic is None else OdometryTrack(bag, options.odom_topic, self._clock)
            headings = None if options.heading_topic is None else HeadingTrack(bag, options.heading_topic, self._clock)
            camera = self._camera(bag)
            last_ns: int | None = None
            before = _Known(None, None)
            for message in bag.messages(options.image_topic):
                try:
                    if isinstance(message.value, JustZoomInError):
                        raise message.value
                    time_ns = self._clock(message)
                    if last_ns is not None and time_ns < last_ns:
                        raise DataError(message.where, f"its time is {(last_ns - time_ns) / 1e9:.3f} s before that of the "
                                        "previous photo", "Give --recorded to use the time of recording.")
                    if last_ns is not None and time_ns - last_ns < (1 - JITTER) * options.every_s * 1e9:
                        continue
                    now = _Known(odometry.at(time_ns) if odometry else None, headings.at(time_ns) if headings else None)
                    photo = self._photo(message, time_ns, now, before, camera)
                except JustZoomInError as error:
                    yield error
                    continue
                last_ns, before = time_ns, now
                yield photo

    def _photo(self, message: Message, time_ns: int, now: _Known, before: _Known, camera: BagCamera | None) -> TimedPhoto:
        """Return the photo of a message.

        Raises:
            PhotoError: If it cannot be decoded.
        """
        data, known = image_bytes(message.value, self._kind, message.where), None
        if camera is not None:
            data = camera.pinhole(data, message.where)
            known = camera.camera(camera.size[0], "CameraInfo")
        facing = now.facing
        when = PhotoTime(
            Path(f"{self.options.image_topic}:{message.number}"), datetime.fromtimestamp(0, UTC) + timedelta(
                microseconds=time_ns // 1000), time_ns >= _EARLIEST_NS, *self._way(now, before),
            None if facing is None else (facing.heading_deg + self.options.declination + self.options.camera_yaw) % 360.0,
            None if facing is None else self._sigma(facing), *self._error(now, before))
        return TimedPhoto(when, data, known, printable(message.value.header.frame_id, 200), time_ns, message.recorded_ns)

    def _sigma(self, facing: Facing) -> float:
        stated = facing.sigma_deg if math.isfinite(facing.sigma_deg) else self.options.heading_sigma
        return min(max(stated, 1.0), 180.0)

    def _rotation(self, before: _Known) -> float | None:
        """Return the heading of the odometer's first axis in degrees; None if it is unknown."""
        if self.options.odom_heading is not None:
            return self.options.odom_heading
        if before.facing is None or before.pose is None:
            return None
        return before.facing.heading_deg + self.options.declination + math.degrees(before.pose.yaw_rad)

    def _way(self, now: _Known, before: _Known) -> tuple[tuple[float, float] | None, float | None]:
        """Return the way since the previous photo, in metres east and north or in the odometer's axes, and the turn."""
        if now.pose is None or before.pose is None:
            return None, None
        x, y = now.pose.x_m - before.pose.x_m, now.pose.y_m - before.pose.y_m
        turn = -math.degrees(now.pose.yaw_rad - before.pose.yaw_rad)
        axis = self._rotation(before)
        if axis is None:
            return (x, y), turn
        sine, cosine = math.sin(math.radians(axis)), math.cos(math.radians(axis))
        return (x * sine - y * cosine, x * cosine + y * sine), turn

    def _error(self, now: _Known, before: _Known) -> tuple[float | None, bool]:
        """Return the standard deviation of the way (None if it follows from the drift), and whether its axes are known."""
        if now.pose is None or before.pose is None:
            return None, True
        length = math.hypot(now.pose.x_m - before.pose.x_m, now.pose.y_m - before.pose.y_m)
        grown = now.pose.variance_m2 - before.pose.variance_m2
        own = math.sqrt(grown) if grown > 0 else self.options.drift * length  # nan is not greater
        aligned = self._rotation(before) is not None
        if aligned and self.options.odom_heading is None and before.facing is not None:
            own = math.hypot(own, length * math.radians(min(self._sigma(before.facing), 60.0)))
        return own, aligned

    def _clock(self, message: Message) -> int:
        """Return the time of a message in nanoseconds: that of its header unless it has none or recording time is wanted.

        Raises:
            DataError: If it is no time.
        """
        stamp = getattr(getattr(message.value, "header", None), "stamp", None)
        if self.options.recorded or stamp is None or (stamp.sec == 0 and stamp.nanosec == 0):
            time_ns = message.recorded_ns
        else:
            time_ns = int(stamp.sec) * 10**9 + int(stamp.nanosec)
        if not 0 <= time_ns < _LATEST_NS:
            raise DataError(message.where, f"its time is {time_ns} ns", "Give --recorded to use the time of recording.")
        return time_ns

    def _camera(self, bag: Bag) -> BagCamera | None:
        """Return the camera of the first CameraInfo; None, with a remark, if it states none.

        Raises:
            DataError: If the topic was asked for and states no camera.
        """
        if self._info is None:
            return None
        message = next(bag.messages(self._info), None)
        try:
            if message is None:
                raise DataError(f"{self.path}, {printable(self._info, 100)}", "it has no messages", "Give --fov.")
            if isinstance(message.value, JustZoomInError):
                raise message.value
            rectified = "rect" in self.options.image_topic.removesuffix("/compressed").rpartition("/")[2]
            return BagCamera.of(message.value, message.where, rectified=rectified)
        except DataError as error:
            if self.options.info_topic is not None:
                raise
            self.remarks.append(f"not used: {error}")
            return None
