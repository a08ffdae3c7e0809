"""A ROS 2 node: photos of a camera in, sensor_msgs/NavSatFix and geometry_msgs/PoseWithCovarianceStamped out.

    python3 justzoomin_node.py --ros-args -p model:=MODEL -p map:=MAP -p image_topic:=/camera/image_raw/compressed

It needs rclpy and the message packages of a sourced ROS 2 (Humble or later), and justzoomin in the same Python. Everything but
the topics is in the class LiveDrive of justzoomin.drives.
"""

from __future__ import annotations

from typing import Any

import rclpy
from geometry_msgs.msg import PoseWithCovarianceStamped
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, Imu, NavSatFix

from justzoomin.drives import COMPRESSED, RAW, LiveDrive, Located, MotionRules, Tracker, fix_values, pose_values
from justzoomin.errors import GeometryError, JustZoomInError
from justzoomin.search import DriveOptions, Localizer

PARAMETERS: dict[str, Any] = {
    "model": "", "map": "", "index": "", "image_topic": "/camera/image_raw/compressed", "compressed": True,
    "info_topic": "", "rectified": False, "odom_topic": "", "imu_topic": "", "every": 1.0, "speed": 15.0, "drift": 0.05,
    "odom_heading": -1.0, "camera_yaw": 0.0, "declination": 0.0, "altitude": 0.0, "map_frame": "map", "device": "auto"}
"""Parameters of the node and their defaults. An odom_heading below 0 is unknown."""


class JustZoomInNode(Node):
    """Publishes `justzoomin/fix` and `justzoomin/pose` for the photos of a camera."""

    def __init__(self) -> None:
        super().__init__("justzoomin")
        self.given = {name: self.declare_parameter(name, value).value for name, value in PARAMETERS.items()}
        given = self.given
        localizer = Localizer.load(given["model"], given["map"], device=given["device"], index=given["index"] or None,
                                   search="posterior")
        localizer.prepare(lambda done, of: None)
        rules = MotionRules(None if given["odom_heading"] < 0 else given["odom_heading"], given["camera_yaw"],
                            given["declination"], drift=given["drift"])
        self.drive = LiveDrive(Tracker(localizer, DriveOptions(given["speed"], given["drift"], smooth=False)), rules,
                               given["every"])
        self.centre = localizer.grid.region.centre
        self.fixes = self.create_publisher(NavSatFix, "justzoomin/fix", 10)
        self.poses = self.create_publisher(PoseWithCovarianceStamped, "justzoomin/pose", 10)
        self._listen(CompressedImage if given["compressed"] else Image, given["image_topic"], self._photo)
        self._listen(Odometry, given["odom_topic"], lambda m: self.drive.odometry(m, self._now()))
        self._listen(Imu, given["imu_topic"], lambda m: self.drive.heading(m, self._now()))
        self._listen(CameraInfo, given["info_topic"], lambda m: self.drive.camera_info(m, rectified=given["rectified"]))

    def _listen(self, kind: Any, topic: str, take: Any) -> None:
        def guarded(message: Any) -> None:
            try:
                take(message)
            except GeometryError as error:
                self.get_logger().warning(f"{error} The drive starts again.")
                self.drive.reset()
            except JustZoomInError as error:
                self.get_logger().warning(str(error))

        if topic:
            self.create_subscription(kind, topic, guarded, qos_profile_sensor_data)

    def _now(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _photo(self, message: Any) -> None:
        found = self.drive.photo(message, COMPRESSED if self.given["compressed"] else RAW, self._now())
        if found is not None:
            self._publish(found, message.header)

    def _publish(self, found: Located, header: Any) -> None:
        fix = NavSatFix()
        fix.header.stamp, fix.header.frame_id = header.stamp, header.frame_id
        fix.status.status = 0
        for name, value in fix_values(found.point, self.given["altitude"]).items():
            setattr(fix, name, value)
        self.fixes.publish(fix)
        values = pose_values(found.point, self.centre, self.given["camera_yaw"])
        pose = PoseWithCovarianceStamped()
        pose.header.stamp, pose.header.frame_id = header.stamp, self.given["map_frame"]
        place, turned = pose.pose.pose.position, pose.pose.pose.orientation
        place.x, place.y, place.z = values["position"]
        turned.x, turned.y, turned.z, turned.w = values["orientation"]
        pose.pose.covariance = values["covariance"]
        self.poses.publish(pose)


def main() -> None:
    """Run the node until it is interrupted."""
    rclpy.init()
    node = JustZoomInNode()
    try:
        rclpy.spin(node)
    except KeyboardInterrupt:
        pass
    finally:
        node.destroy_node()


if __name__ == "__main__":
    main()
