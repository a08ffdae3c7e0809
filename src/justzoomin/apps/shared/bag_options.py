"""Options for bags and videos of drives, and for the bag of fixes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NamedTuple

import typer

_BAG, _OUT = "Bags and videos", "Fixes as a bag"
ImageOption = Annotated[str | None, typer.Option(
    "--image-topic", help="Topic of the photos: sensor_msgs CompressedImage or Image.", rich_help_panel=_BAG)]
OdomOption = Annotated[str | None, typer.Option(
    "--odom-topic", help="Topic of nav_msgs Odometry: the motion between photos.", rich_help_panel=_BAG)]
ImuOption = Annotated[str | None, typer.Option(
    "--imu-topic", help="Topic of headings: sensor_msgs Imu with an absolute orientation (east, north, up), or std_msgs "
    "Float64 or Float32 in degrees clockwise from north.", rich_help_panel=_BAG)]
InfoOption = Annotated[str | None, typer.Option(
    "--info-topic", help="Topic of sensor_msgs CameraInfo. Default: camera_info beside the images, unless --fov is given.",
    rich_help_panel=_BAG)]
OdomHeadingOption = Annotated[float | None, typer.Option(
    "--odom-heading", help="Direction of the odometry's x axis, degrees clockwise from north: 90 if x is east and y north. "
    "Default: from --imu-topic; without it only the length of the way is used.", rich_help_panel=_BAG)]
CameraYawOption = Annotated[float, typer.Option(
    "--camera-yaw", help="Degrees that the camera looks to the right of the robot's forward direction.", rich_help_panel=_BAG)]
RecordedOption = Annotated[bool, typer.Option(
    "--recorded", help="Use the time of recording, not the time in the messages' headers.", rich_help_panel=_BAG)]
EveryOption = Annotated[float | None, typer.Option(
    "--every", help="Seconds between photos of a bag or video; 0 for all. Default: 1.", rich_help_panel=_BAG)]
OutOption = Annotated[Path | None, typer.Option(
    "--out", help="Write NavSatFix and PoseWithCovarianceStamped messages to this bag (.mcap).", rich_help_panel=_OUT)]
AltitudeOption = Annotated[float, typer.Option(
    "--altitude", help="Height of every fix in metres above the ellipsoid.", rich_help_panel=_OUT)]
CopyOption = Annotated[bool, typer.Option(
    "--copy", help="Also copy all topics of the bag to --out.", rich_help_panel=_OUT)]


class BagArguments(NamedTuple):
    """The values of the options for bags and videos; None where an option is not given."""

    image_topic: str | None = None
    odom_topic: str | None = None
    imu_topic: str | None = None
    info_topic: str | None = None
    odom_heading: float | None = None
    camera_yaw: float = 0.0
    recorded: bool = False
    every: float | None = None
    copy: bool = False

    def given(self) -> dict[str, object]:
        """Return the options that are given, by name."""
        empty = BagArguments()
        return {f"--{name.replace('_', '-')}": value for name, value in self._asdict().items() if value != getattr(empty, name)}
