"""Places as ROS messages: sensor_msgs/NavSatFix, and geometry_msgs/PoseWithCovarianceStamped in the map's frame.

`fix_values` and `pose_values` know no message classes, so that a live node can fill its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from justzoomin.geometry import LatLon, to_local
from justzoomin.search import TrackPoint

FIX, POSE = "sensor_msgs/msg/NavSatFix", "geometry_msgs/msg/PoseWithCovarianceStamped"
STATUS_FIX, COVARIANCE_KNOWN = 0, 3
UNKNOWN_VARIANCE = 1e6
"""Variance of what is not measured: height in square metres, roll and pitch (and an unknown yaw) in square radians."""


def stamp_of(time_ns: int) -> tuple[int, int]:
    """Return seconds and nanoseconds of a time in nanoseconds since 1970."""
    return divmod(time_ns, 10**9)


def fix_values(point: TrackPoint, altitude_m: float) -> dict[str, Any]:
    """Return the fields of a NavSatFix but its header.

    The covariance is that of the position's errors in square metres, east, north, up; that of the height is
    `UNKNOWN_VARIANCE`.

    Args:
        point: The place.
        altitude_m: Height above the ellipsoid, which photos do not give. It is finite, because robot_localization ignores
            messages without one.
    """
    east, both, north = point.covariance_m2 or _from_radius(point)
    covariance = np.diag([east, north, UNKNOWN_VARIANCE])
    covariance[0, 1] = covariance[1, 0] = both
    return {"latitude": point.position.lat, "longitude": point.position.lon, "altitude": altitude_m,
            "position_covariance": covariance.ravel(), "position_covariance_type": COVARIANCE_KNOWN}


def pose_values(point: TrackPoint, centre: LatLon, camera_yaw_deg: float = 0.0) -> dict[str, Any]:
    """Return position (3,), orientation (4,) as x, y, z, w, and covariance (36,) of a pose in the map's frame.

    Its origin is the centre of the map's region; x is east, y north, z up, in metres. Without a heading the orientation is that
    of a robot that faces east, with `UNKNOWN_VARIANCE`.

    Args:
        point: The place.
        centre: Centre of the region.
        camera_yaw_deg: Degrees that the camera looks to the right of the robot's forward direction.
    """
    east, north = (float(v) for v in to_local(*centre, *point.position))
    covariance = np.diag([0.0, 0.0, *[UNKNOWN_VARIANCE] * 4])
    xx, xy, yy = point.covariance_m2 or _from_radius(point)
    covariance[:2, :2] = [[xx, xy], [xy, yy]]
    yaw = 0.0
    if point.heading_deg is not None and point.heading_sigma_deg is not None:
        yaw = math.radians(90.0 - (point.heading_deg - camera_yaw_deg))
        covariance[5, 5] = max(math.radians(min(point.heading_sigma_deg, 180.0)), 1e-3) ** 2
    return {"position": (east, north, 0.0), "orientation": (0.0, 0.0, math.sin(yaw / 2.0), math.cos(yaw / 2.0)),
            "covariance": covariance.ravel()}


def fix_message(types: Mapping[str, Any], point: TrackPoint, time_ns: int, frame: str, altitude_m: float) -> Any:
    """Return a NavSatFix of rosbags.

    Args:
        types: Message classes by name, `types` of a type store.
        point: The place.
        time_ns: Time of the photo in nanoseconds.
        frame: Frame of the camera.
        altitude_m: Height above the ellipsoid.
    """
    status = types["sensor_msgs/msg/NavSatStatus"](status=STATUS_FIX, service=0)
    return types[FIX](header=_header(types, time_ns, frame), status=status, **fix_values(point, altitude_m))


def pose_message(types: Mapping[str, Any], point: TrackPoint, time_ns: int, frame: str, centre: LatLon,
                 camera_yaw_deg: float) -> Any:
    """Return a PoseWithCovarianceStamped of rosbags; the arguments are those of `fix_message` and `pose_values`."""
    values = pose_values(point, centre, camera_yaw_deg)
    pose = types["geometry_msgs/msg/Pose"](
        position=types["geometry_msgs/msg/Point"](**dict(zip("xyz", values["position"], strict=True))),
        orientation=types["geometry_msgs/msg/Quaternion"](**dict(zip("xyzw", values["orientation"], strict=True))))
    return types[POSE](header=_header(types, time_ns, frame), pose=types["geometry_msgs/msg/PoseWithCovariance"](
        pose=pose, covariance=values["covariance"]))


def _header(types: Mapping[str, Any], time_ns: int, frame: str) -> Any:
    seconds, nanoseconds = stamp_of(time_ns)
    return types["std_msgs/msg/Header"](stamp=types["builtin_interfaces/msg/Time"](sec=seconds, nanosec=nanoseconds),
                                        frame_id=frame)


def _from_radius(point: TrackPoint) -> tuple[float, float, float]:
    """Return a covariance for a place that states none: that of a round normal distribution with the same 90 % radius."""
    variance = point.radius_90_m**2 / (2.0 * math.log(10.0))
    return variance, 0.0, variance
