"""Crops of a panorama show what is in their direction, also across the seam."""

import math

import numpy as np
import pytest

from justzoomin.errors import PhotoError
from justzoomin.photos import Pose, crops, cut
from justzoomin.photos.panoramas import stated_pose

W, H = 720, 360


def sky(yaw: np.ndarray, pitch: np.ndarray) -> np.ndarray:
    """Return grey values by direction, smooth all around."""
    return 127 + 60 * np.sin(3 * yaw + 1) * np.cos(pitch) + 50 * np.sin(5 * pitch + yaw)


def panorama() -> np.ndarray:
    yaw = ((np.arange(W) + 0.5) / W - 0.5) * 2 * math.pi
    pitch = (0.5 - (np.arange(H) + 0.5) / H) * math.pi
    return np.repeat(sky(yaw[None, :], pitch[:, None]).round().astype(np.uint8)[..., None], 3, 2)


@pytest.mark.parametrize("views", [1, 4, 5])
@pytest.mark.parametrize("hfov_deg", [60.0, 90.0, 120.0])
def test_crops_show_their_directions(views: int, hfov_deg: float) -> None:
    picture = panorama()
    found = crops(W, H, views, hfov_deg, 1.5)
    assert [c.heading_deg for c in found] == [k * 360 / views for k in range(views)]
    for crop in found:
        out = cut(picture, crop)
        assert out.shape == (crop.height, crop.width, 3)
        assert 2 * math.degrees(math.atan(crop.width / 2 / crop.focal_px)) == pytest.approx(hfov_deg)
        assert crop.focal_px <= W / 2 / math.pi + 1
        x, y = np.meshgrid(np.arange(crop.width) - (crop.width - 1) / 2, np.arange(crop.height) - (crop.height - 1) / 2)
        yaw = np.arctan(x / crop.focal_px) + math.radians(crop.heading_deg)
        pitch = -np.arctan2(y, np.hypot(x, crop.focal_px))
        assert np.abs(out[..., 0] - sky(yaw, pitch)).max() < 3, "the seam, or the geometry"


def test_a_mark_is_in_its_direction() -> None:
    picture = np.zeros((H, W, 3), np.uint8)
    yaw, pitch = math.radians(200), math.radians(-12)  # to the left behind, below the horizon
    column = round((math.remainder(yaw, 2 * math.pi) / (2 * math.pi) + 0.5) * W - 0.5)
    picture[round((0.5 - pitch / math.pi) * H - 0.5), column] = 255
    crop = crops(W, H, 4, 90.0, 1.0)[2]
    row, at = np.unravel_index(cut(picture, crop)[..., 0].argmax(), (crop.height, crop.width))
    right = math.tan(math.radians(20)) * crop.focal_px + (crop.width - 1) / 2
    down = math.tan(math.radians(12)) / math.cos(math.radians(20)) * crop.focal_px + (crop.height - 1) / 2
    assert (row, at) == (pytest.approx(down, abs=1), pytest.approx(right, abs=1))


def test_names_contain_headings() -> None:
    assert [c.suffix for c in crops(W, H, 4, 90.0, 1.0)] == ["_h000", "_h090", "_h180", "_h270"]
    assert len({c.suffix for c in crops(W, H, 36, 90.0, 1.0)}) == 36
    assert crops(W, H, 7, 90.0, 1.0)[1].suffix == "_h051"


@pytest.mark.parametrize("size", [(720, 300), (720, 720), (2000, 400)])
def test_partial_panoramas_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(PhotoError, match=r"partial panoramas are not supported\. Give it as a perspective photo"):
        crops(*size, 4, 90.0, 1.0)


def tilted(pose: Pose, size: int = W) -> np.ndarray:
    """Return the panorama of a tilted camera, made by rotating each of its rays into the world."""
    yaw = ((np.arange(size) + 0.5) / size - 0.5) * 2 * math.pi
    angle = (0.5 - (np.arange(size // 2) + 0.5) / (size // 2)) * math.pi
    up, yaw = np.meshgrid(angle, yaw, indexing="ij")
    (a, b), (c, d) = [(math.cos(math.radians(t)), math.sin(math.radians(t))) for t in (pose.pitch_deg, pose.roll_deg)]
    pitch, roll = np.array([[1, 0, 0], [0, a, -b], [0, b, a]]), np.array([[c, 0, d], [0, 1, 0], [-d, 0, c]])
    rays = np.stack([np.cos(up) * np.sin(yaw), np.cos(up) * np.cos(yaw), np.sin(up)], -1) @ (pitch @ roll).T
    seen = sky(np.arctan2(rays[..., 0], rays[..., 1]), np.arcsin(np.clip(rays[..., 2], -1, 1)))
    return np.repeat(seen.round().astype(np.uint8)[..., None], 3, 2)


@pytest.mark.parametrize(("pitch", "roll"), [(0, 40), (0, 180), (20, 0), (-75, 0), (30, -50), (-10, 170)])
def test_a_tilted_panorama_cut_level_equals_the_level_one(pitch: float, roll: float) -> None:
    pose = Pose(pitch, roll)
    for crop in crops(W, H, 5, 90.0, 1.5):
        level, levelled = cut(tilted(Pose()), crop), cut(tilted(pose), crop, pose)
        assert np.abs(level.astype(int) - levelled).max() <= 4 and np.abs(level.astype(int) - levelled).mean() < 0.6
    assert np.array_equal(tilted(Pose()), panorama())


def test_the_signs_of_pitch_and_roll_are_those_of_photo_spheres() -> None:
    """Pitch raises the middle above the horizon; with growing roll, the horizon in the picture turns counterclockwise."""
    rows, columns = np.mgrid[:H, :W]
    down, turn = np.radians((rows + 0.5) / H * 180 - 90), np.radians((columns + 0.5) / W * 360 - 180)
    slope = math.tan(math.radians(20))
    ground = {"pitch": np.tan(down) > slope * np.cos(turn), "roll": np.tan(down) > -slope * np.sin(turn)}
    crop = crops(W, H, 1, 90.0, 1.5)[0]
    for name, pose in (("pitch", Pose(pitch_deg=20)), ("roll", Pose(roll_deg=20))):
        picture = np.repeat(np.where(ground[name], 200, 50).astype(np.uint8)[..., None], 3, 2)
        out = cut(picture, crop, pose)[..., 0]
        horizon = (out > 125).argmax(0)
        assert np.abs(horizon - crop.height / 2).max() <= 3, name


@pytest.mark.parametrize("said", ["steep", "nan", "1e999"])
def test_a_pose_that_is_not_a_number_is_an_error(said: str) -> None:
    assert stated_pose({}, "x") == stated_pose({"PoseRollDegrees": ""}, "x") == Pose()
    assert stated_pose({"PosePitchDegrees": "-3.5", "PoseRollDegrees": "190"}, "x") == Pose(-3.5, 190)
    with pytest.raises(PhotoError, match=f"x: its PoseRollDegrees is '{said}', not a number of degrees"):
        stated_pose({"PoseRollDegrees": said}, "x")
