"""Places of a drive as a bag: MCAP, readable by ROS 2 and every MCAP reader."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from pathlib import Path
from typing import Any

from justzoomin.drives.bags import Bag
from justzoomin.drives.fix_messages import FIX, POSE, fix_message, pose_message
from justzoomin.drives.tracks import Located
from justzoomin.errors import ConfigError, DataError, MissingExtraError
from justzoomin.files import disk_words, work_folder
from justzoomin.geometry import LatLon

ENDING = ".mcap"
_MAX_STAMP_NS = (1 << 31) * 10**9


@dataclass(frozen=True)
class FixBagOptions:
    """How places are written as messages.

    Attributes:
        altitude_m: Height above the ellipsoid that every fix states.
        fix_topic: Topic of the fixes.
        pose_topic: Topic of the poses.
        map_frame: Frame of the poses: metres east and north of the centre of the map's region.
        camera_frame: Frame of the camera, for photos whose source states none.
        camera_yaw: Degrees that the camera looks to the right of the robot's forward direction.
        copy: Bag whose topics are copied; None to copy none.

    Raises:
        ConfigError: If the altitude is not finite, since robot_localization ignores such fixes.
    """

    altitude_m: float = 0.0
    fix_topic: str = "/justzoomin/fix"
    pose_topic: str = "/justzoomin/pose"
    map_frame: str = "map"
    camera_frame: str = "camera"
    camera_yaw: float = 0.0
    copy: Path | None = None

    def __post_init__(self) -> None:
        """Check the altitude."""
        if not math.isfinite(self.altitude_m):
            raise ConfigError(f"--altitude {self.altitude_m}", "it is not finite", "Give metres above the ellipsoid: 0.")


def check_fix_bag(path: Path, options: FixBagOptions) -> None:
    """Check before the work that a bag can be written.

    Raises:
        ConfigError: If the ending is not `.mcap`.
        DataError: If the bag to copy is one of ROS 1, or has one of the topics already.
        MissingExtraError: If the package rosbags is not installed.
    """
    if path.suffix.lower() != ENDING:
        raise ConfigError(f"--out {path}", f"unsupported file extension {path.suffix!r}", "Name a file .mcap.")
    try:
        import rosbags.rosbag2  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("rosbags", "robots") from error
    if options.copy is not None:
        with Bag(options.copy) as bag:
            if not bag.is_ros2:
                raise DataError(f"--copy {options.copy}", "it is a bag of ROS 1, and the output is one of ROS 2",
                                "Leave --copy out, or convert it first: rosbags-convert --src old.bag --dst new.")
            for topic in (options.fix_topic, options.pose_topic):
                if bag.kind_of(topic) is not None:
                    raise DataError(f"--copy {options.copy}", f"it has a topic {topic} already", "Leave --copy out.")


def write_fix_bag(path: Path, located: Sequence[Located], centre: LatLon, options: FixBagOptions) -> Path:
    """Write places as a bag with a NavSatFix and a PoseWithCovarianceStamped for each photo; return its path.

    Args:
        path: The `.mcap` file. It gets its name when it is complete.
        located: The photos and their places.
        centre: Centre of the map's region, the origin of the poses.
        options: Topics, frames and altitude.

    Raises:
        ConfigError: As `check_fix_bag`.
        DataError: As `check_fix_bag`, or if a time cannot be written as a ROS time.
        OSError: If the file cannot be written.
    """
    check_fix_bag(path, options)
    from rosbags.rosbag2 import StoragePlugin, Writer
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS2_HUMBLE)
    messages = _fixes(store, located, centre, options)
    with work_folder(path, "track") as work, disk_words(path):
        with Writer(work / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
            own = {topic: writer.add_connection(topic, kind, typestore=store)
                   for topic, kind in ((options.fix_topic, FIX), (options.pose_topic, POSE))}
            if options.copy is None:
                for time_ns, topic, raw in messages:
                    writer.write(own[topic], time_ns, raw)
            else:
                with Bag(options.copy) as bag:
                    own |= _copied(writer, bag)
                    theirs = ((time_ns, connection.id, raw) for connection, time_ns, raw in bag.raw())
                    for time_ns, topic, raw in merge(messages, theirs, key=lambda one: one[0]):
                        writer.write(own[topic], time_ns, raw)
        (file,) = (work / "bag").glob("*" + ENDING)
        file.replace(path)
    return path


def _copied(writer: Any, bag: Bag) -> dict[Any, Any]:
    """Add the topics of a bag to a writer; return the new connections by the numbers of the old ones."""
    added: dict[Any, Any] = {}
    for connection in bag.connections():
        definition, _ = bag.typestore.generate_msgdef(connection.msgtype, ros_version=2)
        added[connection.id] = writer.add_connection(
            connection.topic, connection.msgtype, msgdef=definition, rihs01=bag.typestore.hash_rihs01(connection.msgtype),
            offered_qos_profiles=connection.ext.offered_qos_profiles)
    return added


def _fixes(store: Any, located: Sequence[Located], centre: LatLon, options: FixBagOptions
           ) -> Iterator[tuple[int, Any, bytes]]:
    """Yield time of recording, topic and bytes of the messages for each photo."""
    for photo, point in located:
        time_ns = photo.stamp_ns if photo.stamp_ns is not None else round(point.time.timestamp() * 1e6) * 1000
        if not 0 <= time_ns < _MAX_STAMP_NS:
            raise DataError(point.photo, f"its time {point.time.isoformat()} is not a ROS time",
                            "ROS 2 has times from 1970 to 2038.")
        recorded = time_ns if photo.recorded_ns is None else photo.recorded_ns
        fix = fix_message(store.types, point, time_ns, photo.frame or options.camera_frame, options.altitude_m)
        yield recorded, options.fix_topic, bytes(store.serialize_cdr(fix, FIX))
        pose = pose_message(store.types, point, time_ns, options.map_frame, centre, options.camera_yaw)
        yield recorded, options.pose_topic, bytes(store.serialize_cdr(pose, POSE))
