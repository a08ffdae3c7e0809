"""The live node, with fakes of the few calls of rclpy that it makes; rclpy itself is not here."""

from __future__ import annotations

import importlib.util
import sys
import types
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import bag_making as making
import fakes
from justzoomin.drives import Bag, BagDrive, BagOptions, track_source
from justzoomin.search import DriveOptions, Localizer

NODE = Path(__file__).resolve().parents[2] / "ros2" / "justzoomin_node.py"


class Blank:
    """A message: every field that is read is there, as rclpy's messages have theirs."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        setattr(self, name, Blank())
        return getattr(self, name)


class FakeNode:
    """rclpy's Node: parameters, subscriptions, publishers, a clock and a log."""

    given: dict[str, Any]

    def __init__(self, name: str) -> None:
        self.name, self.takes, self.sent, self.warnings = name, {}, [], []

    def declare_parameter(self, name: str, default: Any) -> Any:
        return SimpleNamespace(value=FakeNode.given.get(name, default))

    def create_subscription(self, kind: Any, topic: str, take: Callable[[Any], None], qos: Any) -> None:
        self.takes[topic] = take

    def create_publisher(self, kind: Any, topic: str, depth: int) -> Any:
        return SimpleNamespace(publish=lambda message: self.sent.append((topic, message)))

    def get_clock(self) -> Any:
        return SimpleNamespace(now=lambda: SimpleNamespace(nanoseconds=making.START_NS))

    def get_logger(self) -> Any:
        return SimpleNamespace(warning=self.warnings.append)

    def destroy_node(self) -> None:
        return


@pytest.fixture
def node(town: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    modules = {"rclpy": {}, "rclpy.node": {"Node": FakeNode}, "rclpy.qos": {"qos_profile_sensor_data": object()},
               "geometry_msgs": {}, "geometry_msgs.msg": {"PoseWithCovarianceStamped": type("Pose", (Blank,), {})},
               "nav_msgs": {}, "nav_msgs.msg": {"Odometry": object}, "sensor_msgs": {}, "sensor_msgs.msg": {
                   "NavSatFix": type("Fix", (Blank,), {}), "Image": object, "CompressedImage": object, "Imu": object,
                   "CameraInfo": object}}
    for name, names in modules.items():
        module = types.ModuleType(name)
        vars(module).update(names)
        monkeypatch.setitem(sys.modules, name, module)
    spec = importlib.util.spec_from_file_location("justzoomin_node", NODE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model = fakes.tiny_matching_model().save_pretrained(tmp_path / "model", fakes.grid_of(town))
    FakeNode.given = {"model": str(model), "map": str(town), "image_topic": making.IMAGES, "odom_topic": making.ODOM,
                      "imu_topic": making.IMU, "info_topic": making.INFO, "altitude": 12.0, "device": "cpu"}
    return module.JustZoomInNode()


def test_the_node_publishes_what_the_bag_has(node: Any, facing: Localizer, tmp_path: Path) -> None:
    path = making.drive(tmp_path / "a", info=True)
    with Bag(path) as bag:
        for connection, _, raw in bag.raw():
            node.takes[connection.topic](bag.typestore.deserialize_cdr(raw, connection.msgtype))
    expected = track_source(facing, BagDrive(path, BagOptions(making.IMAGES, making.ODOM, making.IMU)),
                            DriveOptions(smooth=False)).located
    fixes, poses = ([m for topic, m in node.sent if topic == f"justzoomin/{kind}"] for kind in ("fix", "pose"))
    assert len(fixes) == len(poses) == len(expected) == 6 and not node.warnings
    for (photo, point), fix, pose in zip(expected, fixes, poses, strict=True):
        assert fix.header.stamp.sec * 10**9 + fix.header.stamp.nanosec == photo.stamp_ns
        assert (fix.header.frame_id, pose.header.frame_id, fix.status.status, fix.altitude) == ("camera", "map", 0, 12.0)
        assert (fix.latitude, fix.longitude) == pytest.approx(tuple(point.position), abs=1e-9)
        assert fix.position_covariance[:2] == pytest.approx(point.covariance_m2[:2], rel=2e-5)
        assert pose.pose.covariance[0] == fix.position_covariance[0]


def test_the_node_outlives_what_is_wrong(node: Any, tmp_path: Path) -> None:
    with making.recording(tmp_path / "a") as bag:
        bag.photo(making.START_NS, making.PHOTOS[0])
        bag.odometry(making.START_NS, 0.0, 0.0, 0.0, 0.001)
        bag.photo(making.START_NS + 10**9, b"no photo")
        bag.photo(making.START_NS - 5 * 10**9, making.PHOTOS[1], recorded_ns=making.START_NS + 2 * 10**9)
        bag.photo(making.START_NS + 3 * 10**9, making.PHOTOS[1])
    with Bag(tmp_path / "a") as bag:
        for connection, _, raw in bag.raw():
            node.takes[connection.topic](bag.typestore.deserialize_cdr(raw, connection.msgtype))
    assert len(node.warnings) == 2 and len(node.sent) == 4
    assert "photo 2: it cannot be read as an image" in node.warnings[0]
    assert "before that of the previous photo" in node.warnings[1]
