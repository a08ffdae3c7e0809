"""A bag as a source of timed photos."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from justzoomin.drives.bag_cameras import CAMERA_INFO, BagCamera, info_topic
from justzoomin.drives.bag_images import COMPRESSED, RAW, image_bytes
from justzoomin.drives.bag_motion import HEADINGS, ODOMETRY, HeadingTrack, OdometryTrack
from justzoomin.drives.bags import Bag, Message
from justzoomin.drives.clocks import time_of
from justzoomin.drives.robot_motion import MotionRules, RobotState
from justzoomin.drives.sources import TimedPhoto
from justzoomin.errors import ConfigError, DataError, JustZoomInError
from justzoomin.untrusted import printable

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
        rules: How odometry and headings are understood.
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
    rules: MotionRules = field(default_factory=MotionRules)
    recorded: bool = False

    def __post_init__(self) -> None:
        """Check the numbers."""
        if not 0 <= self.every_s < math.inf:
            raise ConfigError(f"--every {self.every_s:g}", "it is out of range", "Give seconds, or 0 for all photos.")


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
        self.path, self.options, self._rules = path, options, options.rules
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
            before = RobotState()
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
                    now = RobotState(odometry.at(time_ns) if odometry else None, headings.at(time_ns) if headings else None)
                    photo = self._photo(message, time_ns, now, before, camera)
                except JustZoomInError as error:
                    yield error
                    continue
                last_ns, before = time_ns, now
                yield photo

    def _photo(self, message: Message, time_ns: int, now: RobotState, before: RobotState,
               camera: BagCamera | None) -> TimedPhoto:
        """Return the photo of a message.

        Raises:
            PhotoError: If it cannot be decoded.
        """
        data, known = image_bytes(message.value, self._kind, message.where), None
        if camera is not None:
            data = camera.pinhole(data, message.where)
            known = camera.camera("CameraInfo")
        when = self._rules.photo(f"{self.options.image_topic}:{message.number}", time_ns, now, before)
        return TimedPhoto(when, data, known, printable(message.value.header.frame_id, 200), time_ns, message.recorded_ns)

    def _clock(self, message: Message) -> int:
        """Return the time of a message in nanoseconds.

        Raises:
            DataError: If it is out of range.
        """
        return time_of(message.value, message.recorded_ns, message.where, recorded=self.options.recorded)

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
