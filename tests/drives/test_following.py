"""The tracker against the whole drive, and fixes as a bag, read back with the library mcap."""

from __future__ import annotations

import math
import pickle
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory

import bag_making as making
from justzoomin.drives import (
    Bag,
    BagDrive,
    BagOptions,
    FixBagOptions,
    LiveDrive,
    MotionRules,
    Odometry,
    PhotoFiles,
    Tracker,
    track_source,
    write_fix_bag,
)
from justzoomin.errors import ConfigError, DataError, GeometryError, JustZoomInError, PhotoError
from justzoomin.geometry import from_local, to_local
from justzoomin.photos.readers import PhotoTime
from justzoomin.posterior import Circle, HeadingPrior
from justzoomin.search import Alone, DriveOptions, Localizer, TrackPoint, loaded_posteriors, track_drive

NOW = datetime(2024, 5, 1, 10, tzinfo=UTC)
FORWARD = DriveOptions(smooth=False)


def options(*, odometry: bool = True, headings: bool = True, **more: Any) -> BagOptions:
    return BagOptions(making.IMAGES, making.ODOM if odometry else None, making.IMU if headings else None, **more)


def same(points: list[TrackPoint], others: list[TrackPoint]) -> None:
    """The points are equal, but for the rounding of 32 bits, which differs between batches of one photo and of four."""
    assert len(points) == len(others)
    for a, b in zip(points, others, strict=True):
        assert a.position == pytest.approx(b.position, abs=1e-7)
        assert a.radius_90_m == pytest.approx(b.radius_90_m, abs=0.01)
        assert (a.heading_deg or 0.0) == pytest.approx(b.heading_deg or 0.0, rel=2e-5)
        assert (a.covariance_m2 is None) == (b.covariance_m2 is None)
        if b.covariance_m2 is not None:  # the mixed term can be a small difference of large ones
            assert a.covariance_m2 == pytest.approx(b.covariance_m2, abs=2e-5 * max(b.covariance_m2))


def batch(localizer: Localizer, source: BagDrive, rules: DriveOptions) -> list[TrackPoint]:
    """The whole drive at once, without the tracker."""
    photos = list(source.photos())
    loaded = [localizer.load_photo(p.photo, p.camera) for p in photos]
    alone = [one if isinstance(one, JustZoomInError) else loaded_posteriors(localizer, [one], 1)[0] for one in loaded]
    return track_drive(localizer, [p.when for p in photos], alone, rules).points


@pytest.mark.parametrize("headings", [True, False])
@pytest.mark.parametrize("odometry", [True, False])
def test_photo_by_photo_is_the_drive_without_smoothing(facing: Localizer, headings: bool, odometry: bool,
                                                       tmp_path: Path) -> None:
    source = BagDrive(making.drive(tmp_path / "a"), options(odometry=odometry, headings=headings))
    whole = batch(facing, source, FORWARD)
    same(track_source(facing, source, FORWARD, batch_size=4).points, whole)
    smoothed = track_source(facing, source, DriveOptions(), batch_size=4).points
    same(smoothed, batch(facing, source, DriveOptions()))
    assert smoothed[-1].position == pytest.approx(whole[-1].position)


def test_push_is_take_of_what_is_loaded(facing: Localizer, plain: Localizer, tmp_path: Path) -> None:
    for localizer in (facing, plain):
        photos = list(BagDrive(making.drive(tmp_path / localizer.model_hash), options()).photos())
        tracker, pushed = Tracker(localizer), []
        for photo in photos:
            when = photo.when
            way = None if when.displacement_m is None else Odometry(*when.displacement_m, when.displacement_sigma_m,
                                                                    when.turn_deg)
            pushed.append(tracker.push(photo.photo, when.time, way, heading=HeadingPrior(when.heading_deg, 5.0)))
        same(pushed, batch(localizer, BagDrive(tmp_path / localizer.model_hash, options()), FORWARD))


@pytest.mark.parametrize("headings", [True, False])
def test_the_way_of_a_photo_that_cannot_be_used_is_not_lost(facing: Localizer, headings: bool, tmp_path: Path) -> None:
    making.drive(tmp_path / "whole", headings=headings)
    with making.recording(tmp_path / "gap") as bag, Bag(tmp_path / "whole") as old:
        for topic in (making.ODOM, making.IMU)[:1 + headings]:
            for message in old.messages(topic):
                bag.put(topic, message.recorded_ns, message.value)
        for k, data in enumerate(making.PHOTOS):
            bag.photo(making.START_NS + k * 10**9, b"no photo" if k in {2, 3} else data)
    source = BagDrive(tmp_path / "gap", options(headings=headings))
    found = track_source(facing, source, FORWARD)
    assert [str(error.where) for error in found.errors] == [f"{making.IMAGES}:3", f"{making.IMAGES}:4"]
    assert [one.photo.stamp_ns for one in found.located] == [making.START_NS + k * 10**9 for k in (0, 1, 4, 5)]
    same(found.points, batch(facing, source, FORWARD))


def test_what_is_kept_does_not_grow(plain: Localizer) -> None:
    """benchmarks/tracker.py has the memory of the process over 100 000 photos."""
    tracker, rng = Tracker(plain), np.random.default_rng(0)
    believed = [Alone(rng.normal(0, 2, 256).astype(np.float32)) for _ in range(8)]
    sizes = []
    for k in range(64):
        when = PhotoTime(Path("p"), NOW + timedelta(seconds=k), True, (3.0, -1.0) if k % 3 else None, 5.0)
        if k % 8 == 7:
            tracker.skip(when)
        else:
            tracker.take(when, believed[k % 8])
        kept = {name: value for name, value in vars(tracker).items() if name != "localizer"}
        sizes.append(len(pickle.dumps({**kept, "_filter": vars(kept["_filter"])})))
    assert max(sizes[32:]) - max(sizes[:32]) < 16, sizes


def test_a_tracker_starts_where_it_is_told_and_again(plain: Localizer) -> None:
    lat, lon = plain.grid.region.centre
    near = Circle(lat, lon, 30.0)
    tracker = Tracker(plain, start=near)
    first = tracker.push(making.PHOTOS[0], NOW)
    assert math.hypot(*(float(v) for v in to_local(lat, lon, *first.position))) < 45.0
    second = tracker.push(making.PHOTOS[1], NOW + timedelta(seconds=1))
    tracker.reset()
    assert tracker.push(making.PHOTOS[0], NOW) == first
    assert tracker.push(making.PHOTOS[1], NOW + timedelta(seconds=1)) == second
    with pytest.raises(GeometryError):
        tracker.push(making.PHOTOS[1], NOW + timedelta(seconds=2), Odometry(9000.0, 0.0, 1.0))
    with pytest.raises(ConfigError, match="time"):
        tracker.push(making.PHOTOS[1], NOW)
    with pytest.raises(PhotoError):
        tracker.push(b"no photo", NOW + timedelta(seconds=3))
    with pytest.raises(ConfigError, match="which way"):
        Tracker(plain, DriveOptions(along=True))


def read(path: Path) -> list[tuple[str, int, Any]]:
    """Topic, time of recording and message, read with the library mcap."""
    with path.open("rb") as file:
        return [(channel.topic, message.log_time, value) for _, channel, message, value in
                make_reader(file, decoder_factories=[DecoderFactory()]).iter_decoded_messages()]


@pytest.fixture(scope="module")
def located(facing: Localizer, tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = making.drive(tmp_path_factory.mktemp("located") / "drive", info=True)
    return path, track_source(facing, BagDrive(path, options()), DriveOptions()).located


def test_fixes_read_back_with_mcap(facing: Localizer, located: Any, tmp_path: Path) -> None:
    centre, places = facing.grid.region.centre, located[1]
    path = write_fix_bag(tmp_path / "out.mcap", places, centre, FixBagOptions(41.5, camera_yaw=30.0))
    messages = read(path)
    assert [p.name for p in tmp_path.iterdir()] == ["out.mcap"]
    fixes, poses = ([m for topic, _, m in messages if topic == f"/justzoomin/{kind}"] for kind in ("fix", "pose"))
    assert len(fixes) == len(poses) == len(places) == 6 and len(messages) == 12
    for (photo, point), fix, pose in zip(places, fixes, poses, strict=True):
        for message, frame in ((fix, "camera"), (pose, "map")):
            assert message.header.stamp.sec * 10**9 + message.header.stamp.nanosec == photo.stamp_ns
            assert message.header.frame_id == frame
        assert (fix.latitude, fix.longitude, fix.altitude) == (*point.position, 41.5)
        assert (fix.status.status, fix.position_covariance_type) == (0, 3)
        covariance = np.array(fix.position_covariance).reshape(3, 3)
        np.testing.assert_array_equal(covariance, covariance.T)
        assert (np.linalg.eigvalsh(covariance) > 0).all()
        assert covariance[np.triu_indices(2)] == pytest.approx(point.covariance_m2)
        at, turned = pose.pose.pose.position, pose.pose.pose.orientation
        assert [float(v) for v in from_local(*centre, at.x, at.y)] == pytest.approx(list(point.position), abs=1e-9)
        whole = np.array(pose.pose.covariance).reshape(6, 6)
        np.testing.assert_array_equal(whole[:2, :2], covariance[:2, :2])
        assert (np.linalg.eigvalsh(whole) >= 0).all()
        yaw = math.degrees(2 * math.atan2(turned.z, turned.w))  # of the robot, whose camera looks 30 degrees to the right
        assert (90.0 - yaw + 30.0 - point.heading_deg + 180.0) % 360.0 - 180.0 == pytest.approx(0.0, abs=1e-6)
        assert math.sqrt(whole[5, 5]) == pytest.approx(math.radians(point.heading_sigma_deg))


def test_the_covariance_is_that_of_the_posterior(plain: Localizer) -> None:
    """A drive of one photo: the mean squared distance from the answer over all cells, and a cell's own extent."""
    from justzoomin.posterior import lattice

    log_probs = np.random.default_rng(1).normal(0, 3, 256)
    point = Tracker(plain).take(PhotoTime(Path("p"), NOW, True), Alone((log_probs - 20).astype(np.float32)))
    cells, p = lattice(plain.grid), np.exp(log_probs) / np.exp(log_probs).sum()
    east, north = (float(v) for v in to_local(*plain.grid.region.centre, *point.position))
    off = np.stack([cells.east_m - east, cells.north_m - north])
    expected = (off * p) @ off.T + np.eye(2) * cells.cell_m**2 / 12
    assert point.covariance_m2 == pytest.approx(expected[np.triu_indices(2)], rel=1e-4)


def test_the_original_topics_are_copied(facing: Localizer, located: Any, tmp_path: Path) -> None:
    source, places = located
    path = write_fix_bag(tmp_path / "out.mcap", places, facing.grid.region.centre, FixBagOptions(copy=source))
    with Bag(source) as old, Bag(path) as new:
        assert {c.topic for c in new.connections()} == {c.topic for c in old.connections()} | {
            "/justzoomin/fix", "/justzoomin/pose"}
        originals = [(c.topic, c.msgtype, when, bytes(raw)) for c, when, raw in old.raw()]
        copies = [(c.topic, c.msgtype, when, bytes(raw)) for c, when, raw in new.raw() if "justzoomin" not in c.topic]
    assert copies == originals and len(originals) == 6 + 51 + 51 + 1
    times = [when for _, when, _ in read(path)]
    assert times == sorted(times)
    with pytest.raises(DataError, match="has a topic /justzoomin/fix already"):
        write_fix_bag(tmp_path / "again.mcap", places, facing.grid.region.centre, FixBagOptions(copy=path))
    old_kind = making.drive(tmp_path / "old.bag", "ros1", count=2)
    with pytest.raises(DataError, match="ROS 1"):
        write_fix_bag(tmp_path / "again.mcap", places, facing.grid.region.centre, FixBagOptions(copy=old_kind))


def test_bags_that_cannot_be_written(facing: Localizer, located: Any, tmp_path: Path) -> None:
    centre = facing.grid.region.centre
    with pytest.raises(ConfigError, match="unsupported file extension"):
        write_fix_bag(tmp_path / "out.bag", located[1], centre, FixBagOptions())
    with pytest.raises(ConfigError, match="--altitude nan"):
        FixBagOptions(math.nan)
    one = located[1][0]
    old = one._replace(photo=type(one.photo)(one.photo.when, b"", stamp_ns=-5))
    with pytest.raises(DataError, match="not a ROS time"):
        write_fix_bag(tmp_path / "out.mcap", [old], centre, FixBagOptions())
    assert not list(tmp_path.iterdir())


def test_photo_files_are_a_drive_too(facing: Localizer, tmp_path: Path) -> None:
    """The same photos as files and in a bag have the same track."""
    drive = []
    for k, photo in enumerate(BagDrive(making.drive(tmp_path / "bag"), options(odometry=False, headings=False)).photos()):
        (tmp_path / f"{k}.jpg").write_bytes(photo.photo)
        drive.append(PhotoTime(tmp_path / f"{k}.jpg", photo.when.time, True))
    source = PhotoFiles(drive)
    bag = track_source(facing, BagDrive(tmp_path / "bag", options(odometry=False, headings=False)), DriveOptions())
    files = track_source(facing, source, DriveOptions())
    same(files.points, bag.points)
    (fix,) = (m for topic, _, m in read(write_fix_bag(tmp_path / "f.mcap", files.located[:1], facing.grid.region.centre,
                                                      FixBagOptions())) if topic.endswith("fix"))
    assert fix.header.stamp.sec * 10**9 + fix.header.stamp.nanosec == making.START_NS
    with pytest.raises(PhotoError, match="none of its photos"):
        track_source(facing, PhotoFiles([]), DriveOptions())


def test_live_messages_are_the_bag(facing: Localizer, tmp_path: Path) -> None:
    path = making.drive(tmp_path / "a", info=True)
    live, points = LiveDrive(Tracker(facing), MotionRules()), []
    with Bag(path) as bag:
        for connection, when, raw in bag.raw():
            message = bag.typestore.deserialize_cdr(raw, connection.msgtype)
            take = {making.ODOM: live.odometry, making.IMU: live.heading,
                    making.INFO: lambda m, _: live.camera_info(m)}.get(connection.topic)
            found = live.photo(message, connection.msgtype, when) if take is None else take(message, when)
            if take is None:
                points.append(found.point)
                assert live.photo(message, connection.msgtype, when) is None  # a second one at the same time
    same(points, track_source(facing, BagDrive(path, options()), FORWARD).points)
