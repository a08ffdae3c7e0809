"""Odometry, IMU and compass of bags: where the odometer was and which way the robot faced, at the times of photos."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from justzoomin.drives.bags import Bag, Message
from justzoomin.errors import DataError, JustZoomInError

ODOMETRY = "nav_msgs/msg/Odometry"
IMU, DOUBLE, FLOAT = "sensor_msgs/msg/Imu", "std_msgs/msg/Float64", "std_msgs/msg/Float32"
HEADINGS = (IMU, DOUBLE, FLOAT)
"""Types of messages that state a heading: orientation in the east, north, up frame, or degrees clockwise from north."""
MAX_GAP_S = 1.0
"""Between messages further apart than this nothing is known."""
MAX_EDGE_S = 0.2
"""A photo may be taken this long before the first or after the last message."""
MAX_MESSAGES = 20_000_000
_MOST_M = 1e8
Floats = npt.NDArray[np.float64]


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


@dataclass(frozen=True)
class Samples:
    """Values over time.

    Attributes:
        times_ns: Times (N,) in nanoseconds, increasing.
        values: Values (N, C).
    """

    times_ns: npt.NDArray[np.int64]
    values: Floats

    def at(self, time_ns: int) -> Floats | None:
        """Return the values (C,) at a time, between the messages before and after it; None where there is a gap."""
        after = int(np.searchsorted(self.times_ns, time_ns))
        if 0 < after < len(self.times_ns):
            first, second = int(self.times_ns[after - 1]), int(self.times_ns[after])
            if second - first > MAX_GAP_S * 1e9:
                return None
            share = (time_ns - first) / (second - first)
            return np.asarray(self.values[after - 1] * (1 - share) + self.values[after] * share)
        if not len(self.times_ns):
            return None
        edge = min(after, len(self.times_ns) - 1)
        return self.values[edge] if abs(int(self.times_ns[edge]) - time_ns) <= MAX_EDGE_S * 1e9 else None


class OdometryTrack:
    """All poses of an odometry topic."""

    def __init__(self, bag: Bag, topic: str, clock: Callable[[Message], int]) -> None:
        self._samples = _read(bag, topic, clock, _pose)
        self._samples.values[:, 2] = np.unwrap(self._samples.values[:, 2])

    def at(self, time_ns: int) -> Pose | None:
        """Return the pose at a time; None where there is a gap in the messages."""
        found = self._samples.at(time_ns)
        return None if found is None else Pose(*(float(v) for v in found))


class HeadingTrack:
    """All headings of an IMU or a compass."""

    def __init__(self, bag: Bag, topic: str, clock: Callable[[Message], int]) -> None:
        take = _orientation if bag.kind_of(topic) == IMU else _compass
        self._samples = _read(bag, topic, clock, take)
        self._samples.values[:, 0] = np.degrees(np.unwrap(np.radians(self._samples.values[:, 0])))

    def at(self, time_ns: int) -> Facing | None:
        """Return the heading at a time; None where there is a gap in the messages."""
        found = self._samples.at(time_ns)
        return None if found is None else Facing(float(found[0]) % 360.0, float(found[1]))


def _read(bag: Bag, topic: str, clock: Callable[[Message], int], take: Callable[[Any], tuple[float, ...]]) -> Samples:
    """Read all messages of a topic; where times go back or repeat, the later message counts.

    Raises:
        DataError: If a message cannot be read, a number is not finite, or there are none or too many.
    """
    times: list[int] = []
    values: list[tuple[float, ...]] = []
    for message in bag.messages(topic):
        if isinstance(message.value, JustZoomInError):
            raise message.value
        row = take(message.value)
        if not all(math.isfinite(v) and abs(v) < _MOST_M for v in row[:-1]):
            raise DataError(message.where, "it states no usable numbers (" + ", ".join(f"{v:g}" for v in row[:-1]) + ")",
                            "Record it again, or leave the topic out.")
        times.append(clock(message))
        values.append(row)
        if len(times) > MAX_MESSAGES:
            raise DataError(f"{bag.path}, {topic}", f"it has more than {MAX_MESSAGES:,} messages", "Cut the bag into parts.")
    if not times:
        raise DataError(f"{bag.path}, {topic}", "it has no messages", "Leave the topic out.")
    order = np.argsort(np.array(times, np.int64), kind="stable")
    stamps = np.array(times, np.int64)[order]
    last = np.append(np.diff(stamps) > 0, True)
    return Samples(stamps[last], np.array(values, np.float64)[order][last])


def _pose(message: Any) -> tuple[float, ...]:
    at, turned = message.pose.pose.position, message.pose.pose.orientation
    covariance = np.asarray(message.pose.covariance, np.float64)
    mean = float(covariance[0] + covariance[7]) / 2.0 if covariance.size == 36 else math.nan
    return float(at.x), float(at.y), yaw_of(turned), mean if math.isfinite(mean) and 0 < mean < _MOST_M else math.nan


def _orientation(message: Any) -> tuple[float, ...]:
    covariance = np.asarray(message.orientation_covariance, np.float64)
    if covariance.size != 9 or covariance[0] == -1.0:
        return math.nan, math.nan
    variance = float(covariance[8])
    sigma = math.degrees(math.sqrt(variance)) if math.isfinite(variance) and variance > 0 else math.nan
    return 90.0 - math.degrees(yaw_of(message.orientation)), sigma


def _compass(message: Any) -> tuple[float, ...]:
    return float(message.data), math.nan


def yaw_of(quaternion: Any) -> float:
    """Return the rotation about the vertical axis in radians, counterclockwise; nan for a quaternion of length 0."""
    x, y, z, w = (float(getattr(quaternion, name)) for name in "xyzw")
    length = x * x + y * y + z * z + w * w
    if not 0.25 < length < 4.0:  # not a rotation
        return math.nan
    return math.atan2(2.0 * (w * z + x * y), length - 2.0 * (y * y + z * z))
