"""A live robot: its messages as they come, to places. It knows no ROS library; `ros2/justzoomin_node.py` feeds it."""

from __future__ import annotations

from collections import deque
from typing import Any

from justzoomin.drives.bag_cameras import BagCamera
from justzoomin.drives.bag_drive import JITTER
from justzoomin.drives.bag_images import image_bytes
from justzoomin.drives.bag_motion import nearest
from justzoomin.drives.clocks import time_of
from justzoomin.drives.robot_motion import Facing, MotionRules, Pose, RobotState, facing_of, pose_of, usable
from justzoomin.drives.sources import TimedPhoto
from justzoomin.drives.tracker import Tracker
from justzoomin.drives.tracks import Located
from justzoomin.errors import DataError, JustZoomInError, PhotoError
from justzoomin.search import loaded_posteriors

_KEPT = 400
"""Messages of odometry and headings that are kept to find the one nearest to a photo."""


class LiveDrive:
    """A tracker that takes ROS messages as they come.

    Args:
        tracker: The tracker.
        rules: How odometry and headings are understood.
        every_s: Seconds between photos; earlier ones are passed over.
    """

    def __init__(self, tracker: Tracker, rules: MotionRules | None = None, every_s: float = 1.0) -> None:
        self.tracker, self.rules, self.every_s = tracker, rules or MotionRules(), every_s
        self._poses: deque[tuple[int, Pose]] = deque(maxlen=_KEPT)
        self._facings: deque[tuple[int, Facing]] = deque(maxlen=_KEPT)
        self._camera: BagCamera | None = None
        self._last_ns: int | None = None
        self._before = RobotState()
        self._number = 0

    def odometry(self, message: Any, received_ns: int) -> None:
        """Take a nav_msgs Odometry; one with numbers that are not finite is passed over."""
        pose = pose_of(message)
        if usable(*pose[:3]):
            self._poses.append((time_of(message, received_ns, "odometry"), pose))

    def heading(self, message: Any, received_ns: int) -> None:
        """Take a sensor_msgs Imu, or degrees in a std_msgs number; one that states no heading is passed over."""
        facing = facing_of(message)
        if usable(facing.heading_deg):
            self._facings.append((time_of(message, received_ns, "heading"), facing))

    def camera_info(self, message: Any, *, rectified: bool = False) -> None:
        """Take a sensor_msgs CameraInfo.

        Raises:
            DataError: If it states no camera.
        """
        self._camera = BagCamera.of(message, "CameraInfo", rectified=rectified)

    def photo(self, message: Any, kind: str, received_ns: int) -> Located | None:
        """Take a photo; return its place, or None if it comes too early after the previous one.

        Args:
            message: A sensor_msgs CompressedImage or Image.
            kind: Its type: `COMPRESSED` or `RAW`.
            received_ns: When it was received, in nanoseconds since 1970.

        Raises:
            PhotoError: If it cannot be decoded.
            DataError: If its time is before that of the previous photo.
            GeometryError: If no place fits this photo and those before it; after that, `reset` starts again.
        """
        self._number += 1
        where = f"photo {self._number}"
        time_ns = time_of(message, received_ns, where)
        if self._last_ns is not None:
            if time_ns < self._last_ns:
                raise DataError(where, f"its time is {(self._last_ns - time_ns) / 1e9:.3f} s before that of the previous photo",
                                "Check the clock, or call reset.")
            if time_ns - self._last_ns < (1 - JITTER) * self.every_s * 1e9:
                return None
        data, camera = image_bytes(message, kind, where), None
        if self._camera is not None:
            data, camera = self._camera.pinhole(data, where), self._camera.camera("CameraInfo")
        now = RobotState(nearest(list(self._poses), time_ns), nearest(list(self._facings), time_ns))
        photo = TimedPhoto(self.rules.photo(where, time_ns, now, self._before), b"", camera, str(message.header.frame_id),
                           time_ns)
        self._last_ns, self._before = time_ns, now
        loaded = self.tracker.localizer.load_photo(data, camera)
        if isinstance(loaded, JustZoomInError):
            self.tracker.skip(photo.when)
            raise PhotoError(where, loaded.what, loaded.remedy) from loaded
        (alone,) = loaded_posteriors(self.tracker.localizer, [loaded], 1)
        return Located(photo, self.tracker.take(photo.when, alone))

    def reset(self) -> None:
        """Forget the drive, as after the robot was carried to another place or its clock was set."""
        self.tracker.reset()
        self._last_ns, self._before = None, RobotState()
        self._poses.clear()
        self._facings.clear()
