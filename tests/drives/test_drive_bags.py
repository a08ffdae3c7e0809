"""Bags as sources of photos: every format says the same, and what is broken is named."""

from __future__ import annotations

import math
import random
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

import bag_making as making
import fakes
from justzoomin.data import decode_photo
from justzoomin.drives import BagDrive, BagOptions, MotionRules, TimedPhoto, is_bag
from justzoomin.drives.bag_cameras import BagCamera, info_topic
from justzoomin.drives.bag_images import COMPRESSED, RAW, image_bytes
from justzoomin.errors import ConfigError, DataError, JustZoomInError, PhotoError
from justzoomin.search import Travel

FULL = BagOptions(making.IMAGES, making.ODOM, making.IMU)


def photos(path: Path, options: BagOptions = FULL) -> list[TimedPhoto]:
    found = list(BagDrive(path, options).photos())
    assert not [one for one in found if isinstance(one, JustZoomInError)]
    return found  # type: ignore[return-value]


def numbers(photo: TimedPhoto) -> list[float]:
    when = photo.when
    return [*(when.displacement_m or (math.nan,) * 2), when.turn_deg or 0.0, when.heading_deg or math.nan,
            when.heading_sigma_deg or math.nan, when.displacement_sigma_m or math.nan]


@pytest.mark.parametrize("kind", making.KINDS)
def test_every_format_says_the_same(kind: str, tmp_path: Path) -> None:
    path = making.drive(tmp_path / ("a.bag" if kind == "ros1" else "a"), kind, info=True)
    assert is_bag(path) and is_bag(making.file_of(path))
    found = photos(path)
    assert [one.photo for one in found] == making.PHOTOS
    assert [one.stamp_ns for one in found] == [making.START_NS + k * 10**9 for k in range(6)]
    assert [one.when.time.timestamp() for one in found] == [1_714_557_600 + k for k in range(6)]
    assert all(one.when.known_zone and one.frame == "camera" for one in found)
    assert all(one.camera.fov_deg == pytest.approx(math.degrees(2 * math.atan(48 / 60))) for one in found)  # type: ignore[union-attr]
    for k, one in enumerate(found):
        assert one.when.heading_deg == pytest.approx((90 - math.degrees(0.3 * k)) % 360, abs=1e-6)
        assert one.when.heading_sigma_deg == pytest.approx(5.0)
        if k:
            a, b = 0.3 * (k - 1), 0.3 * k
            east, north = 30 * (math.sin(b) - math.sin(a)), 30 * (math.cos(a) - math.cos(b))
            assert one.when.displacement_m == pytest.approx((east, north), abs=1e-6)
            assert one.when.turn_deg == pytest.approx(-math.degrees(0.3))
            assert one.when.aligned
    assert found[0].when.displacement_m is None and found[0].when.turn_deg is None
    one_file = photos(making.file_of(path))
    assert [numbers(one) for one in one_file[1:]] == [numbers(one) for one in found[1:]]


def test_a_bag_without_definitions_is_read_with_the_standard_ones(tmp_path: Path) -> None:
    """As ROS 2 Humble and before wrote them."""
    import sqlite3

    path = making.file_of(making.drive(tmp_path / "a", "sqlite3"))
    with sqlite3.connect(path) as base:
        base.execute("delete from message_definitions")
    base.close()
    assert len(photos(path)) == 6


@pytest.mark.parametrize("headings", [True, False])
def test_the_odometers_own_axes_make_no_difference(headings: bool, tmp_path: Path) -> None:
    options = FULL if headings else BagOptions(making.IMAGES, making.ODOM)
    straight, turned = (photos(making.drive(tmp_path / str(axis), axis=axis, headings=headings, count=4), options)
                        for axis in (0.0, 2.1))
    for a, b in zip(straight, turned, strict=True):
        np.testing.assert_allclose(numbers(a), numbers(b), atol=1e-6)
        assert a.when.aligned == b.when.aligned == (headings or a.when.displacement_m is None)
    if not headings:  # a circle to the left: each second the same way, ahead and to the left of the camera
        ahead, left = 30 * math.sin(0.3), 30 * (1 - math.cos(0.3))
        assert straight[2].when.displacement_m == pytest.approx((-left, ahead), abs=1e-6)


def test_stated_axes_and_camera_yaw(tmp_path: Path) -> None:
    path = making.drive(tmp_path / "a", axis=math.radians(90.0 - 50.0), headings=False, count=3)
    known = photos(path, BagOptions(making.IMAGES, making.ODOM, rules=MotionRules(odom_heading=50.0)))
    assert known[1].when.displacement_m == pytest.approx((30 * math.sin(0.3), 30 * (1 - math.cos(0.3))), abs=1e-6)
    assert known[1].when.aligned
    right = photos(path, BagOptions(making.IMAGES, making.ODOM, rules=MotionRules(camera_yaw=90.0)))
    ahead, left = 30 * math.sin(0.3), 30 * (1 - math.cos(0.3))
    assert right[1].when.displacement_m == pytest.approx((-ahead, -left), abs=1e-6)  # a camera that looks to the right


@pytest.mark.parametrize("headings", [True, False])
def test_ways_add_up(headings: bool, tmp_path: Path) -> None:
    """The ways of single steps are together the way over all of them, also relative to the camera."""
    path = making.drive(tmp_path / "a", headings=headings)
    options = BagOptions(making.IMAGES, making.ODOM, making.IMU if headings else None)
    steps = photos(path, options)[1:]
    (_, whole) = photos(path, BagOptions(making.IMAGES, making.ODOM, options.heading_topic, every_s=5.0))
    way = Travel.before(steps[0].when)
    for step in steps[1:]:
        assert way is not None
        way = way.then(Travel.before(step.when))
    assert way is not None
    assert (way.east_m, way.north_m) == pytest.approx(whole.when.displacement_m, abs=1e-6)
    assert way.then(None) is None


def test_photos_keep_their_distance(tmp_path: Path) -> None:
    times = sorted(random.Random(3).sample(range(0, 20_000), 60))
    with making.recording(tmp_path / "a") as bag:
        for ms in times:
            bag.photo(making.START_NS + ms * 10**6, making.PHOTOS[0])
    for every in (0.0, 0.5, 2.0):
        source = BagDrive(tmp_path / "a", BagOptions(making.IMAGES, every_s=every))
        kept = [one.stamp_ns for one in source.photos() if isinstance(one, TimedPhoto)]
        assert len(kept) <= source.most and kept[0] == making.START_NS + times[0] * 10**6
        assert all(b - a >= 0.9 * every * 1e9 for a, b in pairwise(kept))
        dropped = {making.START_NS + ms * 10**6 for ms in times} - set(kept)
        assert all(min(t - k for k in kept if k <= t) < 0.9 * every * 1e9 for t in dropped)
        assert bool(dropped) == (every > 0)


def colour(data: bytes) -> np.ndarray:
    return decode_photo(data, "x")


class Raw:
    """An image message."""

    def __init__(self, encoding: str, width: int, height: int, step: int, data: np.ndarray, *, big: int = 0) -> None:
        self.encoding, self.width, self.height, self.step, self.is_bigendian = encoding, width, height, step, big
        self.data = np.ascontiguousarray(data).view(np.uint8).ravel()
        self.format = ""


SHOWN = np.asarray(fakes.picture(48, 32, 9))


@pytest.mark.parametrize(("encoding", "stored"), [
    ("rgb8", SHOWN), ("bgr8", SHOWN[..., ::-1]), ("rgba8", np.dstack([SHOWN, np.full((32, 48), 9, np.uint8)])),
    ("bgra8", np.dstack([SHOWN[..., ::-1], np.full((32, 48), 9, np.uint8)])), ("8UC3", SHOWN[..., ::-1])])
def test_raw_colours_are_those_of_the_camera(encoding: str, stored: np.ndarray) -> None:
    step = stored.shape[2] * 48 + 5  # rows may be padded
    rows = np.hstack([stored.reshape(32, -1), np.full((32, 5), 77, np.uint8)])
    np.testing.assert_array_equal(colour(image_bytes(Raw(encoding, 48, 32, step, rows), RAW, "x")), SHOWN)


def test_grey_bayer_and_yuv() -> None:
    grey = SHOWN[..., 1]
    for big, kind in ((0, "<u2"), (1, ">u2")):
        deep = (grey.astype(np.uint16) << 8 | 3).astype(kind)
        found = colour(image_bytes(Raw("mono16", 48, 32, 96, deep, big=big), RAW, "x"))
        np.testing.assert_array_equal(found, np.repeat(grey[..., None], 3, 2))
    np.testing.assert_array_equal(colour(image_bytes(Raw("mono8", 48, 32, 48, grey), RAW, "x"))[..., 2], grey)
    flat = np.zeros((32, 48, 3), np.uint8) + np.array([200, 120, 40], np.uint8)
    for pattern in ("rggb", "bggr", "gbrg", "grbg"):
        mosaic = np.zeros((32, 48), np.uint8)
        for at, letter in enumerate(pattern):
            mosaic[at // 2::2, at % 2::2] = flat[0, 0, "rgb".index(letter)]
        found = colour(image_bytes(Raw(f"bayer_{pattern}8", 48, 32, 48, mosaic), RAW, "x"))
        np.testing.assert_allclose(found[4:-4, 4:-4], flat[4:-4, 4:-4], atol=1)
    weights = np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]])  # ITU-R BT.601
    y, u, v = np.round(weights @ (flat[0, 0] / 255.0) + [16, 128, 128])
    for names, order in ((("uyvy", "yuv422"), (u, y, v, y)), (("yuyv", "yuv422_yuy2"), (y, u, y, v))):
        packed = np.tile(np.array(order, np.uint8), (32, 24))
        for name in names:
            np.testing.assert_allclose(colour(image_bytes(Raw(name, 48, 32, 96, packed), RAW, "x")), flat, atol=3)


@pytest.mark.parametrize(("message", "words"), [
    (Raw("rgb8", 100_000, 100_000, 300_000, np.zeros(9, np.uint8)), "100000 x 100000 pixels"),
    (Raw("rgb8", 48, 32, 48, np.zeros(4608, np.uint8)), "do not fit"), (Raw("rgb8", 48, 32, 144, np.zeros(99)), "do not fit"),
    (Raw("rgb8", 0, 32, 144, np.zeros(4608, np.uint8)), "0 x 32"), (Raw("32FC1", 48, 32, 192, np.zeros(6144)), "'32FC1'"),
    (Raw("uyvy", 3, 2, 6, np.zeros(12, np.uint8)), "even width")])
def test_images_that_cannot_be(message: Raw, words: str) -> None:
    with pytest.raises(PhotoError, match=words):
        image_bytes(message, RAW, "bag, topic, message 1")


def test_a_lens_is_undone() -> None:
    """A point goes where a pinhole camera with the optical axis in the middle has it."""
    matrix = np.array([[300.0, 0, 330], [0, 310, 200], [0, 0, 1]])
    point = np.array([0.3, -0.2, 1.0])

    class Info:
        width, height, k, d, p = 640, 400, matrix.ravel(), np.array([-0.3, 0.1, 0.001, -0.002, 0.0]), np.zeros(12)
        distortion_model = "plumb_bob"

    for model, lens in (("plumb_bob", Info.d), ("equidistant", np.array([0.05, -0.01, 0.0, 0.0])), ("plumb_bob", np.zeros(5))):
        info = Info()
        info.distortion_model, info.d = model, lens
        camera = BagCamera.of(info, "info", rectified=False)
        if model == "equidistant":
            seen = cv2.fisheye.projectPoints(point[None, None], np.zeros(3), np.zeros(3), matrix, lens)[0].ravel()
        else:
            seen = cv2.projectPoints(point[None], np.zeros(3), np.zeros(3), matrix, lens)[0].ravel()
        picture = np.zeros((400, 640, 3), np.uint8)
        cv2.circle(picture, tuple(int(v) for v in np.round(seen)), 5, (255, 255, 255), -1)
        shown = colour(camera.pinhole(fakes.encoded(picture, "PNG"), "x"))[..., 0].astype(float)
        at = np.array([(shown.sum(k) @ np.arange(shown.shape[1 - k])) / shown.sum() for k in (0, 1)])
        np.testing.assert_allclose(at, [319.5 + 300 * 0.3, 199.5 - 300 * 0.2], atol=1.0)
        assert camera.camera("x").fov_deg == pytest.approx(math.degrees(2 * math.atan(320 / 300)))
    straight = BagCamera(np.array([[300.0, 0, 320], [0, 300, 200], [0, 0, 1]]), np.zeros(0), False, (640, 400))
    assert straight.pinhole(b"as it is", "x") == b"as it is"
    for wrong in ({"k": np.zeros(9)}, {"width": 0}, {"distortion_model": "magic"}, {"d": np.full(5, np.nan)},
                  {"d": np.ones(3)}):
        info = Info()
        for name, value in wrong.items():
            setattr(info, name, value)
        with pytest.raises(DataError, match="info"):
            BagCamera.of(info, "info", rectified=False)
    assert info_topic("/cam/image_raw/compressed") == info_topic("/cam/image_raw") == "/cam/camera_info"


def test_topics_that_do_not_fit_are_named_with_those_that_do(tmp_path: Path) -> None:
    path = making.drive(tmp_path / "a", count=2)
    for options, words in ((BagOptions("/cam"), r"--image-topic: it has no topic /cam. Its topics: /camera/image/compressed"),
                           (BagOptions(making.ODOM), r"the messages of /odom are nav_msgs/msg/Odometry"),
                           (BagOptions(making.IMAGES, making.IMU), r"--odom-topic: .*Its topics: /odom \(nav_msgs"),
                           (BagOptions(making.IMAGES, None, making.ODOM), "--imu-topic"),
                           (BagOptions(making.IMAGES, info_topic="/x"), "--info-topic")):
        with pytest.raises(DataError, match=words):
            BagDrive(path, options)
    for wrong in (lambda: BagOptions("x", every_s=-1.0), lambda: MotionRules(camera_yaw=math.nan),
                  lambda: MotionRules(odom_heading=1e9)):
        with pytest.raises(ConfigError):
            wrong()
    with pytest.raises(DataError, match="no such bag"):
        BagDrive(tmp_path / "b.mcap", FULL)


def test_messages_that_are_wrong_are_named_and_the_others_are_read(tmp_path: Path) -> None:
    with making.recording(tmp_path / "a") as bag:
        for number, (second, data) in enumerate(((0, making.PHOTOS[0]), (2, making.PHOTOS[1]), (1, making.PHOTOS[2]), (4, b""),
                                                 (5, making.PHOTOS[3]))):
            bag.photo(making.START_NS + second * 10**9, data, recorded_ns=making.START_NS + number * 10**9)
        connection = bag.topics[making.IMAGES]
        bag.writer.write(connection, making.START_NS + 9 * 10**9, b"\0\1\0\0junk")
    found = list(BagDrive(tmp_path / "a", BagOptions(making.IMAGES)).photos())
    errors = [str(one) for one in found if isinstance(one, JustZoomInError)]
    assert [one.photo for one in found if isinstance(one, TimedPhoto)] == [making.PHOTOS[k] for k in (0, 1, 3)]
    assert [words.partition(",")[2].partition(":")[0] for words in errors] == [
        f" {making.IMAGES}, message {k}" for k in (3, 4, 6)]
    assert "1.000 s before that of the previous photo" in errors[0] and "0 bytes" in errors[1]
    assert "is not a message of the type sensor_msgs/msg/CompressedImage" in errors[2]
    recorded = list(BagDrive(tmp_path / "a", BagOptions(making.IMAGES, recorded=True)).photos())
    assert [one.stamp_ns for one in recorded if isinstance(one, TimedPhoto)] == [
        making.START_NS + k * 10**9 for k in (0, 1, 2, 4)]


def test_odometry_and_headings_that_cannot_be_used(tmp_path: Path) -> None:
    for name, write, words in (
            ("nan", lambda bag: bag.odometry(making.START_NS, math.nan, 0.0, 0.0), "/odom, message 2: it states no usable"),
            ("none", lambda bag: bag.imu(making.START_NS, 0.0, first=-1.0), "/imu, message 2: it states no usable")):
        with making.recording(tmp_path / name) as bag:
            bag.photo(making.START_NS, making.PHOTOS[0])
            bag.odometry(making.START_NS, 0.0, 0.0, 0.0)
            bag.imu(making.START_NS, 0.0)
            write(bag)
        with pytest.raises(DataError, match=words):
            list(BagDrive(tmp_path / name, FULL).photos())


def test_gaps_state_nothing_and_growing_variances_count(tmp_path: Path) -> None:
    with making.recording(tmp_path / "a") as bag:
        for second in range(5):
            bag.photo(making.START_NS + second * 10**9, making.PHOTOS[second])
            if second not in {2}:
                variance = 0.0 if second < 3 else 9.0 * second
                bag.odometry(making.START_NS + second * 10**9, 4.0 * second, 0.0, 0.0, variance)
            bag.compass(making.START_NS + second * 10**9, 350.0 + 5 * second)
    found = photos(tmp_path / "a", BagOptions(making.IMAGES, making.ODOM, "/compass",
                                              rules=MotionRules(declination=4.0, drift=0.1, heading_sigma=1.0)))
    assert [one.when.displacement_m is None for one in found] == [True, False, True, True, False]
    assert [one.when.heading_deg for one in found] == pytest.approx([354.0, 359.0, 4.0, 9.0, 14.0])
    sideways = 4.0 * math.radians(1.0)
    assert found[1].when.displacement_sigma_m == pytest.approx(math.hypot(0.4, sideways))  # by the drift
    assert found[4].when.displacement_sigma_m == pytest.approx(math.hypot(3.0, sideways))  # by the covariance


@pytest.mark.parametrize("kind", making.KINDS)
def test_whatever_is_broken_the_bag_is_named(kind: str, tmp_path: Path) -> None:
    """Cut anywhere or with bytes changed, a bag gives photos or an error of the package, and never hangs."""
    whole = making.file_of(making.drive(tmp_path / ("a.bag" if kind == "ros1" else "a"), kind, count=3))
    data, rng, path = whole.read_bytes(), random.Random(kind), tmp_path / f"broken{whole.suffix}"
    refused = 0
    for trial in range(40):
        if trial < 20:
            changed = data[:rng.randrange(len(data))]
        else:
            flipped = bytearray(data)
            for _ in range(rng.choice((1, 8, 64))):
                flipped[rng.randrange(len(data))] = rng.randrange(256)
            changed = bytes(flipped)
        path.write_bytes(changed)
        try:
            list(BagDrive(path, FULL).photos())
        except JustZoomInError as error:
            assert str(error.where).startswith(str(path)), error
            refused += 1
    assert refused >= 18


def test_compressed_depth_is_not_a_photo() -> None:
    message = Raw("", 1, 1, 1, np.ones(9, np.uint8))
    message.format = "16UC1; compressedDepth png"
    with pytest.raises(PhotoError, match="depth"):
        image_bytes(message, COMPRESSED, "x")
