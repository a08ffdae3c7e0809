"""Bags of every kind, written with rosbags for the tests."""

from __future__ import annotations

import math
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

import fakes

START_NS = 1_714_557_600 * 10**9
IMAGES, ODOM, IMU, INFO = "/camera/image/compressed", "/odom", "/imu", "/camera/camera_info"
KINDS = ("mcap", "sqlite3", "ros1")


class Recorder:
    """A bag that is being written."""

    def __init__(self, writer: Any, *, ros1: bool) -> None:
        self.writer, self.ros1 = writer, ros1
        self.store = get_typestore(Stores.ROS1_NOETIC if ros1 else Stores.ROS2_HUMBLE)
        self.topics: dict[str, Any] = {}

    def make(self, kind: str, *values: Any) -> Any:
        """A message: `std_msgs/Header` and so on, with its fields in order."""
        package, name = kind.split("/")
        return self.store.types[f"{package}/msg/{name}"](*values)

    def put(self, topic: str, time_ns: int, message: Any) -> None:
        kind = message.__msgtype__
        if topic not in self.topics:
            self.topics[topic] = self.writer.add_connection(topic, kind, typestore=self.store)
        raw = self.store.serialize_ros1(message, kind) if self.ros1 else self.store.serialize_cdr(message, kind)
        self.writer.write(self.topics[topic], time_ns, raw)

    def header(self, time_ns: int, frame: str = "camera") -> Any:
        stamp = self.make("builtin_interfaces/Time", time_ns // 10**9, time_ns % 10**9)
        return self.make("std_msgs/Header", *([7] if self.ros1 else []), stamp, frame)

    def turned(self, yaw: float) -> Any:
        return self.make("geometry_msgs/Quaternion", 0.0, 0.0, math.sin(yaw / 2), math.cos(yaw / 2))

    def photo(self, time_ns: int, data: bytes, topic: str = IMAGES, recorded_ns: int | None = None) -> None:
        self.put(topic, time_ns if recorded_ns is None else recorded_ns, self.make(
            "sensor_msgs/CompressedImage", self.header(time_ns), "jpeg", np.frombuffer(data, np.uint8)))

    def image(self, time_ns: int, encoding: str, width: int, height: int, step: int, data: np.ndarray,
              topic: str = "/camera/image_raw") -> None:
        self.put(topic, time_ns, self.make("sensor_msgs/Image", self.header(time_ns), height, width, encoding, 0, step,
                                           np.ascontiguousarray(data).view(np.uint8).ravel()))

    def odometry(self, time_ns: int, x: float, y: float, yaw: float, variance: float = 0.0, topic: str = ODOM) -> None:
        covariance, zero = np.diag([variance] * 6).ravel(), self.make("geometry_msgs/Vector3", 0.0, 0.0, 0.0)
        pose = self.make("geometry_msgs/Pose", self.make("geometry_msgs/Point", x, y, 0.0), self.turned(yaw))
        self.put(topic, time_ns, self.make(
            "nav_msgs/Odometry", self.header(time_ns, "odom"), "base", self.make(
                "geometry_msgs/PoseWithCovariance", pose, covariance), self.make(
                "geometry_msgs/TwistWithCovariance", self.make("geometry_msgs/Twist", zero, zero), np.zeros(36))))

    def imu(self, time_ns: int, yaw: float, sigma_deg: float = 5.0, first: float = 0.01) -> None:
        zero, none = self.make("geometry_msgs/Vector3", 0.0, 0.0, 0.0), np.zeros(9)
        covariance = np.diag([first, 0.01, math.radians(sigma_deg) ** 2]).ravel()
        self.put(IMU, time_ns, self.make("sensor_msgs/Imu", self.header(time_ns, "imu"), self.turned(yaw), covariance, zero,
                                         none, zero, none))

    def compass(self, time_ns: int, heading: float) -> None:
        self.put("/compass", time_ns, self.make("std_msgs/Float64", heading))

    def info(self, time_ns: int, matrix: np.ndarray, distortion: list[float], size: tuple[int, int], model: str = "plumb_bob",
             topic: str = INFO) -> None:
        roi = self.make("sensor_msgs/RegionOfInterest", 0, 0, 0, 0, False)
        projection = np.hstack([matrix, np.zeros((3, 1))])
        self.put(topic, time_ns, self.make("sensor_msgs/CameraInfo", self.header(time_ns), size[1], size[0], model,
                                           np.array(distortion), matrix.ravel(), np.eye(3).ravel(), projection.ravel(), 0, 0,
                                           roi))


@contextmanager
def recording(path: Path, kind: str = "mcap") -> Any:
    """Write a bag: a folder for ROS 2, a file .bag for ROS 1."""
    if kind == "ros1":
        with Writer1(path) as writer:
            yield Recorder(writer, ros1=True)
    else:
        with Writer(path, version=9, storage_plugin=StoragePlugin[kind.upper()]) as writer:
            yield Recorder(writer, ros1=False)


def file_of(path: Path) -> Path:
    """The data file of a bag."""
    return path if path.is_file() else next(p for p in path.iterdir() if p.suffix in {".mcap", ".db3"})


PHOTOS = [fakes.encoded(fakes.picture(96, 54, number)) for number in range(6)]


def drive(path: Path, kind: str = "mcap", *, axis: float = 0.0, count: int = 6, headings: bool = True,
          info: bool = False) -> Path:
    """Write a drive in a circle: a photo a second, odometry and IMU at 10 Hz.

    Args:
        path: The bag.
        kind: Its kind.
        axis: Radians from east to the odometer's first axis, counterclockwise.
        count: Photos.
        headings: Whether to write the IMU.
        info: Whether to write a CameraInfo.
    """
    with recording(path, kind) as bag:
        if info:
            bag.info(START_NS, np.array([[60.0, 0.0, 47.5], [0.0, 60.0, 26.5], [0.0, 0.0, 1.0]]), [], (96, 54))
        for k in range(10 * (count - 1) + 1):
            time_ns, yaw = START_NS + k * 10**8, 0.03 * k  # ENU
            x, y = 30.0 * math.sin(yaw), 30.0 * (1 - math.cos(yaw))
            bag.odometry(time_ns, x * math.cos(axis) + y * math.sin(axis) + 5.0, y * math.cos(axis) - x * math.sin(axis) - 3.0,
                         yaw - axis)
            if headings:
                bag.imu(time_ns, yaw)
            if k % 10 == 0:
                bag.photo(time_ns, PHOTOS[k // 10 % len(PHOTOS)])
    return path
