"""Photos in a model's frame: known directions at the right pixels, tilt undone, and the older way unchanged."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fakes
from justzoomin.data import Frame, PhotoCamera, framed_photo, open_dataset, stated_camera, wide_photo
from justzoomin.data.cameras import known_camera
from justzoomin.data.framing import NEUTRAL, SQUEEZE, framed
from justzoomin.errors import ConfigError, PhotoError

CROP = Frame("crop", 75.0)
RNG = np.random.default_rng(7)


def noise(height: int, width: int) -> np.ndarray:
    return RNG.integers(0, 255, (height, width, 3), np.uint8)


def png(image: np.ndarray, focal_35mm: int | None = None) -> bytes:
    buffer, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 1
    if focal_35mm is not None:
        exif.get_ifd(0x8769)[0xA405] = focal_35mm
    Image.fromarray(image).save(buffer, "PNG", exif=exif)
    return buffer.getvalue()


def directions(width: int, height: int, fov_deg: float, pitch_deg: float = 0.0, roll_deg: float = 0.0) -> np.ndarray:
    """Azimuth and elevation in degrees (H, W, 2) of a camera's pixels, built from rotations of the camera itself."""
    focal = width / 2 / math.tan(math.radians(fov_deg) / 2)
    x, y = np.meshgrid(np.arange(width) + 0.5 - width / 2, np.arange(height) + 0.5 - height / 2)
    right, up, ahead = x / focal, -y / focal, np.ones_like(x)
    roll, pitch = math.radians(roll_deg), math.radians(pitch_deg)
    # The camera is first rolled about its axis (right side up), then its axis is raised.
    right, up = right * math.cos(roll) - up * math.sin(roll), up * math.cos(roll) + right * math.sin(roll)
    ahead, up = ahead * math.cos(pitch) - up * math.sin(pitch), up * math.cos(pitch) + ahead * math.sin(pitch)
    return np.stack([np.degrees(np.arctan2(right, ahead)), np.degrees(np.arctan2(up, np.hypot(right, ahead)))], -1)


def painted(*camera: float, width: int, height: int) -> np.ndarray:
    """A photo whose red is the azimuth and whose green is the elevation of what it shows: 128 ahead, 2 levels a degree."""
    seen = directions(width, height, *camera)
    return np.concatenate([np.round(128 + 2 * seen), np.zeros_like(seen[..., :1])], -1).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("decode", ["scaled", "full", "quick"])
def test_squeezing_is_byte_for_byte_the_older_way(decode: str) -> None:
    data = png(noise(90, 160), 26)
    for camera in (None, PhotoCamera(50.0, 5.0, 3.0)):
        found = framed_photo(data, "a.png", 48, decode, SQUEEZE, camera)  # type: ignore[arg-type]
        np.testing.assert_array_equal(found.pixels, wide_photo(data, "a.png", 48, decode))  # type: ignore[arg-type]
        assert found.camera is None and found.words() is None and found.empty == 0.0


@pytest.mark.parametrize("fit", ["crop", "fit"])
def test_a_photo_of_the_model_s_own_camera_is_unchanged(fit: str) -> None:
    image = noise(48, 96)
    for camera in (PhotoCamera(75.0), PhotoCamera()):  # an unknown camera is assumed to be the model's
        found, empty = framed(image, Frame(fit, 75.0), 48, camera)  # type: ignore[arg-type]
        np.testing.assert_array_equal(found, image)
        assert empty == 0.0


def test_a_quarter_roll_is_a_quarter_turn() -> None:
    image, fov = noise(96, 96), 60.0
    upright, _ = framed(image, Frame("crop", fov), 48, PhotoCamera(fov, roll_deg=90.0))
    turned, _ = framed(np.ascontiguousarray(np.rot90(image)), Frame("crop", fov), 48, PhotoCamera(fov))
    np.testing.assert_array_equal(upright, turned)


@pytest.mark.parametrize("camera", [
    (75.0, 0.0, 0.0), (100.0, 0.0, 0.0), (50.0, 0.0, 0.0), (90.0, 8.0, 0.0), (90.0, -6.0, 11.0)])
@pytest.mark.parametrize("size", [(400, 300), (320, 180), (300, 400)])
def test_known_directions_arrive_at_their_pixels(camera: tuple[float, float, float], size: tuple[int, int]) -> None:
    width, height = size
    found, empty = framed(painted(*camera, width=width, height=height), CROP, 48, PhotoCamera(*camera))
    true = directions(96, 48, 75.0)
    shown = ~(found == np.array(NEUTRAL, np.uint8)).all(-1)
    assert empty == pytest.approx(1 - shown.mean(), abs=1e-9)
    error = np.abs((found[..., :2].astype(float) - 128) / 2 - true)[shown]
    assert shown.mean() > 0.2 and error.mean() < 0.3 and error.max() < 1.0


def test_a_narrow_photo_covers_its_own_share_of_the_frame() -> None:
    found, empty = framed(np.full((100, 200, 3), 255, np.uint8), CROP, 96, PhotoCamera(40.0))
    share = math.tan(math.radians(20)) / math.tan(math.radians(37.5))
    assert 1 - empty == pytest.approx(share**2, abs=0.02)
    assert (found[0, 0] == NEUTRAL).all() and (found[48, 96] == 255).all()


def test_unknown_cameras_are_cropped_or_padded_but_never_squeezed() -> None:
    image = painted(75.0, width=160, height=120)
    cropped, empty = framed(image, CROP, 48)
    assert empty == 0.0
    middle = image[20:100]  # the central 160 x 80
    np.testing.assert_allclose(cropped.mean((0, 1)), middle.mean((0, 1)), atol=1.0)
    padded, empty = framed(np.full((120, 160, 3), 9, np.uint8), Frame("fit", 75.0), 48)
    assert empty == pytest.approx(1 - (4 / 3) / 2, abs=0.02) and (padded[:, 48 - 31:48 + 31] == 9).all()


def test_a_fitted_photo_is_whole_and_reduced_only_where_it_must_be() -> None:
    image = np.full((300, 300, 3), 255, np.uint8)
    small, large = PhotoCamera(30.0), PhotoCamera(80.0)
    np.testing.assert_array_equal(framed(image, Frame("fit"), 96, small)[0], framed(image, CROP, 96, small)[0])
    found, empty = framed(image, Frame("fit"), 96, large)
    lit = (found == 255).all(-1)
    assert lit[:, 48:144].all() and not lit[:, :48].any() and not lit[:, 144:].any() and empty == 0.5  # all 96 rows
    image[0] = image[-1] = image[:, 0] = image[:, -1] = (255, 0, 0)  # a photo in a red frame, rolled: its corners are inside
    found, _ = framed(image, Frame("fit"), 200, PhotoCamera(80.0, roll_deg=30.0))
    border = np.concatenate([found[0, 1:-1], found[-1, 1:-1], found[:, 0], found[:, -1]]).reshape(-1, 3)
    assert ((border == NEUTRAL).all(-1) | (border[:, 1] < 250)).all()


def test_the_camera_comes_from_the_table_then_the_option_then_exif() -> None:
    data = png(noise(24, 36), 18)  # 90 degrees
    assert known_camera(data).fov_deg == pytest.approx(90.0) and "FocalLengthIn35mmFilm" in str(known_camera(data))
    assert known_camera(data, None, stated_camera(50.0)) == PhotoCamera(50.0, source="--fov")
    tilted = PhotoCamera(None, 3.0, 1.0)
    assert known_camera(data, tilted, stated_camera(50.0)) == PhotoCamera(50.0, 3.0, 1.0, source="--fov")
    assert known_camera(data, PhotoCamera(70.0), stated_camera(50.0)).fov_deg == 70.0
    assert known_camera(png(noise(24, 36))) == PhotoCamera()


@pytest.mark.parametrize("fov", [0.0, -5.0, 180.0, 359.0, math.nan, math.inf])
def test_an_impossible_field_of_view_is_refused(fov: float) -> None:
    with pytest.raises(ConfigError, match="--fov"):
        stated_camera(fov)
    assert stated_camera(360.0).kind == "equirectangular"


def test_a_photo_that_shows_nothing_of_the_frame_is_refused() -> None:
    with pytest.raises(PhotoError, match="pitch"):
        framed_photo(png(noise(30, 60)), "up.png", 32, frame=CROP, stated=PhotoCamera(50.0, 90.0))


def test_a_dataset_says_which_cameras_took_its_photos(tmp_path: Path) -> None:
    dataset = open_dataset(fakes.make_repository(tmp_path, train=4, val=1, pixels=32, photo_size=(160, 90)))
    ids = dataset.split("train").image_ids
    (dataset.root / "streetview").mkdir(exist_ok=True)
    (dataset.root / "streetview" / "metadata.csv").write_text(
        "image_id,hfov_deg,pitch_deg,roll_deg,panorama_id\n"
        f"{ids[0]},60,2,-3,\n{ids[1]},,1.5,,\n{ids[2]},90,7,7,pano\n")
    assert dataset.cameras(ids) == {
        ids[0]: PhotoCamera(60.0, 2.0, -3.0, source="column hfov_deg"), ids[1]: PhotoCamera(None, 1.5),
        ids[2]: PhotoCamera(90.0, source="column hfov_deg")}
    samples = dataset.torch_dataset("train", 32, frame=CROP)
    data, where = dataset.photos.read(ids[0]), dataset.photos.where(ids[0])
    expected = framed_photo(data, where, 32, "scaled", CROP, dataset.cameras(ids)[ids[0]]).pixels
    np.testing.assert_array_equal(samples[0]["wide"].permute(1, 2, 0).numpy(), expected)
