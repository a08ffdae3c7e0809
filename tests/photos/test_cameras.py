"""Lens distortion is removed: invertibly, with straight lines, without empty pixels, and without accepting nonsense."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from justzoomin.errors import PhotoError
from justzoomin.photos import distort, undistort, undistortion
from justzoomin.photos.cameras import MIN_SLOPE, _fold, is_distorted, undistorted_size
from justzoomin.photos.readers import Camera

SIZE = (320, 240)
LENSES = [Camera("perspective", 0.8, -0.2, 0.05), Camera("perspective", 0.9, 0.15, 0.02),
          Camera("perspective", 0.6, -0.25, 0.0), Camera("fisheye", 0.5, 0.02, -0.01), Camera("fisheye", 0.35, -0.02, 0.0)]

cameras = st.builds(Camera, st.sampled_from(["perspective", "fisheye"]), st.floats(0.3, 1.5), st.floats(-0.3, 0.3),
                    st.floats(-0.1, 0.1))


@given(cameras, st.floats(0, 2 * math.pi), st.floats(0.0, 1.0))
def test_there_and_back(camera: Camera, angle: float, radius: float) -> None:
    """Exact to a hundredth of a pixel in a photo of 2000 px."""
    there = radius * np.array([math.cos(angle), math.sin(angle)])
    direction = undistort(camera, there)
    if np.isfinite(direction).all():
        assert np.abs(distort(camera, direction) - there).max() * camera.focal * 2000 < 0.01
    landed = distort(camera, there)
    if np.isfinite(landed).all() and np.hypot(*there) < 0.9:
        again = undistort(camera, landed)
        assert np.abs(distort(camera, again) - landed).max() < 1e-9


def test_the_models_are_the_documented_ones() -> None:
    x, y = 0.3, -0.4
    r2 = x * x + y * y
    scale = 1 + 0.1 * r2 + 0.02 * r2 * r2
    assert distort(Camera("perspective", 1.0, 0.1, 0.02), (x, y)) == pytest.approx((x * scale, y * scale))
    theta = math.atan(0.5)
    scale = theta / 0.5 * (1 + 0.1 * theta**2 + 0.02 * theta**4)
    assert distort(Camera("fisheye", 1.0, 0.1, 0.02), (x, y)) == pytest.approx((x * scale, y * scale))
    assert distort(Camera("fisheye", 1.0, 0.1, 0.02), (0.0, 0.0)) == pytest.approx((0.0, 0.0))


def grating(directions: np.ndarray) -> np.ndarray:
    """Return grey values (...,) of straight stripes in the world, by direction."""
    x, y = directions[..., 0], directions[..., 1]
    return 127 + 60 * np.sin(14 * (x + 0.4 * y)) + 50 * np.sin(12 * (y - 0.3 * x))


def directions_of(width: int, height: int, focal_px: float) -> np.ndarray:
    x, y = np.meshgrid(np.arange(width) - (width - 1) / 2, np.arange(height) - (height - 1) / 2)
    return np.stack([x, y], -1) / focal_px


@pytest.mark.parametrize("camera", LENSES)
@pytest.mark.parametrize("size", [SIZE, SIZE[::-1]])
def test_straight_lines_come_out_straight(camera: Camera, size: tuple[int, int]) -> None:
    width, height = size
    seen = undistort(camera, directions_of(width, height, camera.focal * max(size)))
    known = np.isfinite(seen).all(-1)
    photo = np.where(known, grating(np.where(known[..., None], seen, 0.0)), 0).round().clip(0, 255).astype(np.uint8)
    flat = undistortion(camera, width, height)
    out = flat.apply(np.repeat(photo[..., None], 3, 2))
    assert out.shape == (flat.height, flat.width, 3)
    wanted = grating(directions_of(flat.width, flat.height, flat.focal_px))
    assert np.abs(out[..., 0] - wanted).max() < 12
    assert np.abs(out[..., 0] - wanted).mean() < 1.5


@pytest.mark.parametrize("camera", LENSES)
def test_nothing_is_empty_nothing_is_enlarged_and_the_field_is_the_widest(camera: Camera) -> None:
    width, height = SIZE
    flat = undistortion(camera, width, height)
    focal_px = camera.focal * max(SIZE)
    corners = distort(camera, directions_of(flat.width, flat.height, flat.focal_px)) * focal_px
    reach = np.abs(corners).max((0, 1)) - np.array([width - 1, height - 1]) / 2
    assert (reach <= 1e-6).all()
    assert flat.width <= width
    assert flat.height <= height
    assert flat.focal_px <= focal_px * 1.01
    assert flat.hfov_deg <= 100.0 + 1e-6
    corner = math.hypot(flat.width, flat.height) / 2 / flat.focal_px
    widest = reach.max() > -1.5 or flat.hfov_deg > 99.0 or corner > 0.99 * _fold(camera, MIN_SLOPE)
    assert widest, "a wider field was possible"


def test_the_field_of_a_fisheye_is_bounded_as_requested() -> None:
    camera = Camera("fisheye", 0.32)
    assert undistortion(camera, 400, 400, 100.0).hfov_deg == pytest.approx(100.0, abs=0.01)
    assert undistortion(camera, 400, 400, 60.0).hfov_deg == pytest.approx(60.0, abs=0.01)


def test_no_distortion_is_not_undone() -> None:
    assert not is_distorted(None, *SIZE)
    assert not is_distorted(Camera("perspective", 0.8), *SIZE)
    assert not is_distorted(Camera("perspective", None), *SIZE)
    assert not is_distorted(Camera("perspective", 0.8, 1e-5), *SIZE)
    assert is_distorted(Camera("perspective", 0.8, -0.05), *SIZE)
    assert is_distorted(Camera("fisheye", 0.5), *SIZE)


@pytest.mark.parametrize(("camera", "words"), [
    (Camera("perspective", 0.7, -5.0), "folds back"), (Camera("fisheye", 0.7, -9.0), "folds back"),
    (Camera("perspective", 0.7, 1e4), "leaves"), (Camera("perspective", 0.7, math.nan), "distortion nan"),
    (Camera("perspective", 0.7, 1e300), "distortion 1e+300"), (Camera("perspective", 0.0, 0.1), "focal length is 0"),
    (Camera("perspective", math.inf, 0.1), "focal length is inf"), (Camera("fisheye"), "unknown"),
    (Camera("perspective", None, 0.1), "unknown")])
def test_impossible_cameras_are_refused_with_a_reason(camera: Camera, words: str) -> None:
    with pytest.raises(PhotoError, match=words.replace("+", r"\+")):
        if is_distorted(camera, *SIZE):
            undistortion(camera, *SIZE)


@given(st.builds(Camera, st.sampled_from(["perspective", "fisheye"]), st.floats(), st.floats(), st.floats()),
       st.integers(16, 5000), st.integers(16, 5000))
def test_any_numbers_give_a_valid_photo_or_an_error(camera: Camera, width: int, height: int) -> None:
    try:
        if is_distorted(camera, width, height):
            out_width, out_height, focal_px = undistorted_size(camera, width, height)
            assert width / 4 <= out_width <= width
            assert 1 <= out_height <= height
            assert 0 < focal_px < math.inf
    except PhotoError as error:
        assert str(error).endswith(".")
