"""Crops of a panorama show what lies in their direction, across the seam too."""

import math

import numpy as np
import pytest

from justzoomin.errors import PhotoError
from justzoomin.photos import crops, cut

W, H = 720, 360


def sky(yaw: np.ndarray, pitch: np.ndarray) -> np.ndarray:
    """Grey values by direction, smooth all around."""
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


def test_a_mark_lies_where_its_direction_says() -> None:
    picture = np.zeros((H, W, 3), np.uint8)
    yaw, pitch = math.radians(200), math.radians(-12)  # to the left behind, below the horizon
    column = round((math.remainder(yaw, 2 * math.pi) / (2 * math.pi) + 0.5) * W - 0.5)
    picture[round((0.5 - pitch / math.pi) * H - 0.5), column] = 255
    crop = crops(W, H, 4, 90.0, 1.0)[2]
    row, at = np.unravel_index(cut(picture, crop)[..., 0].argmax(), (crop.height, crop.width))
    right = math.tan(math.radians(20)) * crop.focal_px + (crop.width - 1) / 2
    down = math.tan(math.radians(12)) / math.cos(math.radians(20)) * crop.focal_px + (crop.height - 1) / 2
    assert (row, at) == (pytest.approx(down, abs=1), pytest.approx(right, abs=1))


def test_names_tell_headings() -> None:
    assert [c.suffix for c in crops(W, H, 4, 90.0, 1.0)] == ["_h000", "_h090", "_h180", "_h270"]
    assert len({c.suffix for c in crops(W, H, 36, 90.0, 1.0)}) == 36
    assert crops(W, H, 7, 90.0, 1.0)[1].suffix == "_h051"


@pytest.mark.parametrize("size", [(720, 300), (720, 720), (2000, 400)])
def test_partial_panoramas_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(PhotoError, match=r"partial panoramas are not cut\. Give it as a perspective photo"):
        crops(*size, 4, 90.0, 1.0)
