"""What odometry, an IMU and a compass say about a photo: its way, its turn and its heading."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from justzoomin.errors import ConfigError
from justzoomin.photos.readers import PhotoTime

_MOST_M = 1e8
_EARLIEST_NS = 10**18
"""Times before 2001 come from a clock that does not know the date, such as that of a simulation."""
_ZERO = datetime(1970, 1, 1, tzinfo=UTC)


class Pose(NamedTuple):
    """Where an odometer says that the robot is, in its own frame.

    Attributes:
        x_m: Metres along the first axis.
        y_m: Metres along the second axis, which is 90 degrees to the left of the first.
        yaw_rad: Radians that the robot is turned to the left of the first axis.
        variance_m2: Mean variance of the two positions; nan if unknown.
    """

    x_m: float
    y_m: float
    yaw_rad: float
    variance_m2: float


class Facing(NamedTuple):
    """Which way the robot faces.

    Attributes:
        heading_deg: Degrees clockwise from north.
        sigma_deg: Standard deviation in degrees; nan if unknown.
    """

    heading_deg: float
    sigma_deg: float


class RobotState(NamedTuple):
    """What is known about the robot when a photo is taken; None for what is unknown."""

    pose: Pose | None = None
    facing: Facing | None = None


def pose_of(message: Any) -> Pose:
    """Return the pose of a nav_msgs Odometry; numbers that are not finite stay so."""
    at, covariance = message.pose.pose.position, np.asarray(message.pose.covariance, np.float64)
    mean = float(covariance[0] + covariance[7]) / 2.0 if covariance.size == 36 else math.nan
    return Pose(float(at.x), float(at.y), yaw_of(message.pose.pose.orientation),
                mean if math.isfinite(mean) and 0 < mean < _MOST_M else math.nan)


def facing_of(message: Any) -> Facing:
    """Return the heading of a sensor_msgs Imu, or of degrees in a std_msgs number; nan if it states none."""
    if not hasattr(message, "orientation"):
        return Facing(float(message.data), math.nan)
    covariance = np.asarray(message.orientation_covariance, np.float64)
    if covariance.size != 9 or covariance[0] == -1.0:  # it says that it has no orientation
        return Facing(math.nan, math.nan)
    variance = float(covariance[8])
    sigma = math.degrees(math.sqrt(variance)) if math.isfinite(variance) and variance > 0 else math.nan
    return Facing(90.0 - math.degrees(yaw_of(message.orientation)), sigma)


def usable(*numbers: float) -> bool:
    """Return whether numbers are finite and not absurdly large."""
    return all(math.isfinite(v) and abs(v) < _MOST_M for v in numbers)


def yaw_of(quaternion: Any) -> float:
    """Return the rotation about the vertical axis in radians, counterclockwise; nan if it is not a rotation."""
    x, y, z, w = (float(getattr(quaternion, name)) for name in "xyzw")
    length = x * x + y * y + z * z + w * w
    if not 0.25 < length < 4.0:
        return math.nan
    return math.atan2(2.0 * (w * z + x * y), length - 2.0 * (y * y + z * z))


@dataclass(frozen=True)
class MotionRules:
    """How odometry and headings are understood.

    Attributes:
        odom_heading: Heading of the odometer's first axis in degrees clockwise from north, such as 90 if its axes are east and
            north; None if unknown.
        camera_yaw: Degrees that the camera looks to the right of the robot's own forward direction.
        declination: Degrees from true to magnetic north, for headings from magnetic north.
        heading_sigma: Spread in degrees of headings whose messages state none.
        drift: Error of odometry that states none, as a share of the distance.

    Raises:
        ConfigError: If a number is out of range; it names the option of `jzi track`.
    """

    odom_heading: float | None = None
    camera_yaw: float = 0.0
    declination: float = 0.0
    heading_sigma: float = 20.0
    drift: float = 0.05

    def __post_init__(self) -> None:
        """Check the numbers."""
        for value, option in ((self.odom_heading or 0.0, "--odom-heading"), (self.camera_yaw, "--camera-yaw"),
                              (self.declination, "--declination")):
            if not -360.0 <= value <= 360.0:
                raise ConfigError(f"{option} {value:g}", "it is out of range", "Give degrees.")

    def photo(self, name: str, time_ns: int, now: RobotState, before: RobotState) -> PhotoTime:
        """Return what is known about a photo.

        Args:
            name: Its name.
            time_ns: Its time in nanoseconds since 1970.
            now: What is known about the robot at that time.
            before: What was known at the time of the previous photo; nothing for the first one.
        """
        time = _ZERO + timedelta(microseconds=time_ns // 1000)
        when = PhotoTime(Path(name), time, time_ns >= _EARLIEST_NS)
        facing = None if now.facing is None else (now.facing.heading_deg + self.declination + self.camera_yaw) % 360.0
        sigma = None if now.facing is None else self._sigma(now.facing)
        if now.pose is None or before.pose is None:
            return PhotoTime(when.path, time, when.known_zone, heading_deg=facing, heading_sigma_deg=sigma)
        axis, aligned = self._axis(before.pose, before.facing)
        x, y = now.pose.x_m - before.pose.x_m, now.pose.y_m - before.pose.y_m
        sine, cosine, length = math.sin(math.radians(axis)), math.cos(math.radians(axis)), math.hypot(x, y)
        grown = now.pose.variance_m2 - before.pose.variance_m2
        error = math.sqrt(grown) if grown > 0 else self.drift * length  # nan is not greater
        if aligned and self.odom_heading is None and before.facing is not None:  # an error of the heading moves it sideways
            error = math.hypot(error, length * math.radians(min(self._sigma(before.facing), 60.0)))
        turn = -math.degrees(now.pose.yaw_rad - before.pose.yaw_rad)
        return PhotoTime(when.path, time, when.known_zone, (x * sine - y * cosine, x * cosine + y * sine),
                         (turn + 180.0) % 360.0 - 180.0, facing, sigma, error, aligned)

    def _sigma(self, facing: Facing) -> float:
        stated = facing.sigma_deg if math.isfinite(facing.sigma_deg) else self.heading_sigma
        return min(max(stated, 1.0), 180.0)

    def _axis(self, pose: Pose, facing: Facing | None) -> tuple[float, bool]:
        """Return the heading of the odometer's first axis in degrees, and whether it is known.

        If it is not, it is as if the camera had faced north.
        """
        if self.odom_heading is not None:
            return self.odom_heading, True
        yaw = math.degrees(pose.yaw_rad)
        return (yaw - self.camera_yaw, False) if facing is None else (facing.heading_deg + self.declination + yaw, True)
