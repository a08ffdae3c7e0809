"""Odometry and headings of bags at the times of photos."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from justzoomin.drives.bags import Bag, Message
from justzoomin.drives.robot_motion import Facing, Pose, facing_of, pose_of, usable
from justzoomin.errors import DataError, JustZoomInError

ODOMETRY = "nav_msgs/msg/Odometry"
HEADINGS = ("sensor_msgs/msg/Imu", "std_msgs/msg/Float64", "std_msgs/msg/Float32")
"""Types of messages that state a heading: orientation in the east, north, up frame, or degrees clockwise from north."""
MAX_GAP_S = 1.0
"""Between messages further apart than this nothing is known."""
MAX_EDGE_S = 0.2
"""A photo may be taken this long before or after a message that is next to a gap."""
MAX_MESSAGES = 20_000_000
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Samples:
    """Values over time.

    Attributes:
        times_ns: Times (N,) in nanoseconds, increasing; at least one.
        values: Values (N, C).
    """

    times_ns: npt.NDArray[np.int64]
    values: Floats

    def at(self, time_ns: int) -> Floats | None:
        """Return the values (C,) at a time, between the messages before and after it; None where there is a gap."""
        after = int(np.searchsorted(self.times_ns, time_ns))
        if 0 < after < len(self.times_ns):
            first, second = int(self.times_ns[after - 1]), int(self.times_ns[after])
            if second - first <= MAX_GAP_S * 1e9:
                share = (time_ns - first) / (second - first)
                return np.asarray(self.values[after - 1] * (1 - share) + self.values[after] * share)
        near = [k for k in (after - 1, after) if 0 <= k < len(self.times_ns)]
        best = min(near, key=lambda k: abs(int(self.times_ns[k]) - time_ns))
        return self.values[best] if abs(int(self.times_ns[best]) - time_ns) <= MAX_EDGE_S * 1e9 else None


class OdometryTrack:
    """All poses of an odometry topic."""

    def __init__(self, bag: Bag, topic: str, clock: Callable[[Message], int]) -> None:
        self._samples = _read(bag, topic, clock, pose_of)
        self._samples.values[:, 2] = np.unwrap(self._samples.values[:, 2])

    def at(self, time_ns: int) -> Pose | None:
        """Return the pose at a time; None where there is a gap in the messages."""
        found = self._samples.at(time_ns)
        return None if found is None else Pose(*(float(v) for v in found))


class HeadingTrack:
    """All headings of an IMU or a compass."""

    def __init__(self, bag: Bag, topic: str, clock: Callable[[Message], int]) -> None:
        self._samples = _read(bag, topic, clock, facing_of)
        self._samples.values[:, 0] = np.degrees(np.unwrap(np.radians(self._samples.values[:, 0])))

    def at(self, time_ns: int) -> Facing | None:
        """Return the heading at a time; None where there is a gap in the messages."""
        found = self._samples.at(time_ns)
        return None if found is None else Facing(float(found[0]) % 360.0, float(found[1]))


def _read(bag: Bag, topic: str, clock: Callable[[Message], int], take: Callable[[Any], tuple[float, ...]]) -> Samples:
    """Read all messages of a topic, in the order of their times; of several with one time, the last one counts.

    Raises:
        DataError: If a message cannot be read, a number is not finite, or there are none or too many.
    """
    times: list[int] = []
    values: list[tuple[float, ...]] = []
    for message in bag.messages(topic):
        if isinstance(message.value, JustZoomInError):
            raise message.value
        row = take(message.value)
        if not usable(*row[:-1]):
            raise DataError(message.where, "it states no usable numbers (" + ", ".join(f"{v:g}" for v in row[:-1]) + ")",
                            "Record it again, or leave the topic out.")
        times.append(clock(message))
        values.append(row)
        if len(times) > MAX_MESSAGES:
            raise DataError(f"{bag.path}, {topic}", f"it has more than {MAX_MESSAGES:,} messages", "Cut the bag into parts.")
    if not times:
        raise DataError(f"{bag.path}, {topic}", "it has no messages", "Leave the topic out.")
    stamps = np.array(times, np.int64)
    order = np.argsort(stamps, kind="stable")
    last = np.append(np.diff(stamps[order]) > 0, True)
    return Samples(stamps[order][last], np.array(values, np.float64)[order][last])


def nearest(samples: list[tuple[int, Any]], time_ns: int) -> Any:
    """Return the value of the sample nearest to a time; None if none is within `MAX_EDGE_S`."""
    best = min(samples, key=lambda one: abs(one[0] - time_ns), default=(math.inf, None))
    return best[1] if abs(best[0] - time_ns) <= MAX_EDGE_S * 1e9 else None
