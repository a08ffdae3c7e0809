"""A bag of a robot's drive from a drive of photos whose places are known, and how far its fixes are from these places.

    python benchmarks/drive_bag.py make DRIVE TOWN FOLDER [--kind mcap|sqlite|ros1] [--seed 0]
    python benchmarks/drive_bag.py score FIXES.mcap TOWN DRIVE

DRIVE is a folder of photos with a times.csv, TOWN the dataset that has their places, such as `demo/drive` and
`demo/unseen-town` after `make demo`. The bag has /camera/image/compressed,
/odom at 20 Hz in a frame of its own (its first axis points anywhere; 2 % of the way and 0.2 degrees a second are added as
error), /imu at 20 Hz with an absolute heading (error 5 degrees) and /compass in degrees. `score` reads fixes with the library
mcap.
"""

from __future__ import annotations

import argparse
import csv
import math
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from justzoomin.geometry import haversine_m, to_local

RATE_HZ, ODOM_AXIS_DEG = 20, 137.0


def places(drive: Path, town: Path) -> tuple[list[Path], list[int], np.ndarray]:
    """Return the photos of a drive, their times in nanoseconds, and their latitudes and longitudes (T, 2)."""
    with (drive / "times.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    known = pl.concat([pl.read_csv(path, schema_overrides={"image_id": pl.String}) for path in
                       sorted((town / "metadata").glob("large_area_*_map.csv"))])
    where = dict(zip(known["image_id"], zip(known["latitude"], known["longitude"], strict=True), strict=True))
    times = [int(datetime.fromisoformat(row["time"].replace("Z", "+00:00")).timestamp()) * 10**9 for row in rows]
    return [drive / row["photo"] for row in rows], times, np.array([where[Path(row["photo"]).stem] for row in rows])


def make(drive: Path, town: Path, folder: Path, kind: str, seed: int) -> None:
    """Write the bag."""
    photos, times, where = places(drive, town)
    rng = np.random.default_rng(seed)
    east, north = (np.asarray(v, np.float64) for v in to_local(*where[0], where[:, 0], where[:, 1]))
    seconds = np.array(times, np.float64) / 1e9
    fine = np.arange(seconds[0], seconds[-1] + 1e-6, 1.0 / RATE_HZ)
    x, y = np.interp(fine, seconds, east), np.interp(fine, seconds, north)
    course = np.unwrap(np.arctan2(np.diff(y, append=2 * y[-1] - y[-2]), np.diff(x, append=2 * x[-1] - x[-2])))
    axis = math.radians(90.0 - ODOM_AXIS_DEG)  # counterclockwise from east
    yaw = course - axis + np.cumsum(np.full(len(fine), math.radians(0.2) / RATE_HZ))
    steps = np.hypot(np.diff(x), np.diff(y)) * (1 + rng.normal(0, 0.02, len(fine) - 1))
    odom = np.concatenate([[(0.0, 0.0)], np.cumsum(np.stack([steps * np.cos(yaw[:-1]), steps * np.sin(yaw[:-1])], 1), 0)])
    store = get_typestore(Stores.ROS1_NOETIC if kind == "ros1" else Stores.ROS2_HUMBLE)
    writer: Any = Writer1(folder) if kind == "ros1" else Writer(folder, version=9, storage_plugin=(
        StoragePlugin.MCAP if kind == "mcap" else StoragePlugin.SQLITE3))
    with writer:
        put = _Put(writer, store, ros1=kind == "ros1")
        for moment, (px, py), turn, facing in zip(fine, odom, yaw, course, strict=True):
            put.odometry(round(moment * 1e9), px, py, turn)
            put.heading(round(moment * 1e9), facing + math.radians(rng.normal(0, 5.0)))
        for photo, time_ns in zip(photos, times, strict=True):
            put.photo(time_ns, photo.read_bytes())


class _Put:
    """Messages of a robot, put into a bag."""

    def __init__(self, writer: Any, store: Any, *, ros1: bool) -> None:
        self.writer, self.store, self.ros1, self.T = writer, store, ros1, store.types
        self.topics: dict[str, Any] = {}

    def put(self, topic: str, time_ns: int, message: Any) -> None:
        kind = message.__msgtype__
        if topic not in self.topics:
            self.topics[topic] = self.writer.add_connection(topic, kind, typestore=self.store)
        raw = self.store.serialize_ros1(message, kind) if self.ros1 else self.store.serialize_cdr(message, kind)
        self.writer.write(self.topics[topic], time_ns, raw)

    def header(self, time_ns: int, frame: str) -> Any:
        stamp = self.T["builtin_interfaces/msg/Time"](time_ns // 10**9, time_ns % 10**9)
        return self.T["std_msgs/msg/Header"](**({"seq": 0} if self.ros1 else {}), stamp=stamp, frame_id=frame)

    def turned(self, yaw: float) -> Any:
        return self.T["geometry_msgs/msg/Quaternion"](0.0, 0.0, math.sin(yaw / 2), math.cos(yaw / 2))

    def odometry(self, time_ns: int, x: float, y: float, yaw: float) -> None:
        pose = self.T["geometry_msgs/msg/Pose"](self.T["geometry_msgs/msg/Point"](float(x), float(y), 0.0), self.turned(yaw))
        zero = self.T["geometry_msgs/msg/Vector3"](0.0, 0.0, 0.0)
        none = np.zeros(36)
        self.put("/odom", time_ns, self.T["nav_msgs/msg/Odometry"](
            self.header(time_ns, "odom"), "base_link", self.T["geometry_msgs/msg/PoseWithCovariance"](pose, none),
            self.T["geometry_msgs/msg/TwistWithCovariance"](self.T["geometry_msgs/msg/Twist"](zero, zero), none)))

    def heading(self, time_ns: int, yaw: float) -> None:
        zero, unknown = self.T["geometry_msgs/msg/Vector3"](0.0, 0.0, 0.0), np.zeros(9)
        self.put("/imu", time_ns, self.T["sensor_msgs/msg/Imu"](
            self.header(time_ns, "imu"), self.turned(yaw), np.diag([0.01, 0.01, math.radians(5.0)**2]).ravel(), zero, unknown,
            zero, unknown))
        self.put("/compass", time_ns, self.T["std_msgs/msg/Float64"]((90.0 - math.degrees(yaw)) % 360.0))

    def photo(self, time_ns: int, jpeg: bytes) -> None:
        self.put("/camera/image/compressed", time_ns, self.T["sensor_msgs/msg/CompressedImage"](
            self.header(time_ns, "camera"), "jpeg", np.frombuffer(jpeg, np.uint8)))


def fixes(path: Path) -> list[Any]:
    """Return the NavSatFix messages of a bag, read with the library mcap."""
    with path.open("rb") as file:
        reader = make_reader(file, decoder_factories=[DecoderFactory()])
        return [message for _, _, _, message in reader.iter_decoded_messages(topics=["/justzoomin/fix"])]


def score(path: Path, town: Path, drive: Path) -> None:
    """Print how far the fixes are from the places, and how well their covariances fit."""
    _, times, where = places(drive, town)
    truth = dict(zip(times, where, strict=True))
    found, errors = fixes(path), []
    squares = []
    for fix in found:
        lat, lon = truth[fix.header.stamp.sec * 10**9 + fix.header.stamp.nanosec]
        errors.append(float(haversine_m(fix.latitude, fix.longitude, lat, lon)))
        off = np.array([float(v) for v in to_local(lat, lon, fix.latitude, fix.longitude)])
        squares.append(off @ np.linalg.solve(np.array(fix.position_covariance).reshape(3, 3)[:2, :2], off))
    print(f"{len(found)} fixes: median {np.median(errors):.2f} m, mean {np.mean(errors):.2f} m, worst {max(errors):.2f} m; "
          f"mean squared error over covariance {np.mean(squares):.2f} (2 if they fit)")


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="what", required=True)
    making, scoring = kinds.add_parser("make"), kinds.add_parser("score")
    for name in ("drive", "town", "folder"):
        making.add_argument(name, type=Path)
    making.add_argument("--kind", choices=("mcap", "sqlite", "ros1"), default="mcap")
    making.add_argument("--seed", type=int, default=0)
    for name in ("fixes", "town", "drive"):
        scoring.add_argument(name, type=Path)
    given = parser.parse_args()
    if given.what == "make":
        make(given.drive, given.town, given.folder, given.kind, given.seed)
    else:
        score(given.fixes, given.town, given.drive)


if __name__ == "__main__":
    main()
