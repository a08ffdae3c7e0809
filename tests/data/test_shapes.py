"""The shape of photos against those of a training."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fakes
from justzoomin.data import PhotoShape, open_dataset, shapes_of


def jpeg(width: int, height: int, focal_35mm: int | None = None, orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    if focal_35mm is not None:
        exif.get_ifd(0x8769)[0xA405] = focal_35mm
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((height, width, 3), np.uint8)).save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


def test_aspect_and_field_of_view() -> None:
    wide = PhotoShape.of(jpeg(36, 24, 18))
    assert wide.aspect == pytest.approx(1.5) and wide.hfov_deg == pytest.approx(90.0)  # half of 36 mm at 18 mm: 45 degrees
    turned = PhotoShape.of(jpeg(36, 24, 18, orientation=6))
    assert turned.aspect == pytest.approx(2 / 3) and turned.hfov_deg == pytest.approx(67.38, abs=0.01)
    assert PhotoShape.of(jpeg(32, 18)).hfov_deg is None


@pytest.mark.parametrize(("size", "focal", "said"), [
    ((160, 90), None, None), ((90, 160), None, "shape"), ((80, 90), None, "shape"), ((400, 90), None, "shape"),
    ((160, 90), 26, None), ((160, 90), 200, "field of view is 10.8 degrees"), ((160, 90), 8, "field of view")])
def test_a_photo_far_from_those_of_the_training_is_named(size: tuple[int, int], focal: int | None, said: str | None) -> None:
    found = PhotoShape.of(jpeg(*size, focal)).unlike({"aspect": (1.5, 2.0), "hfov_deg": (60.0, 90.0)})
    assert (found is None) if said is None else said in str(found)
    assert PhotoShape.of(jpeg(*size, focal)).unlike({}) is None


def test_a_training_records_the_shapes_of_its_photos(tmp_path: Path) -> None:
    root = fakes.make_repository(tmp_path, train=3, val=1, pixels=32, photo_size=(160, 90))
    assert shapes_of(open_dataset(root), "train") == {"aspect": [1.778, 1.778]}
    ids = open_dataset(root).split("train").image_ids
    (root / "streetview").mkdir(exist_ok=True)
    (root / "streetview" / "metadata.csv").write_text("image_id,hfov_deg\n" + "".join(
        f"{photo},{60 + 10 * k}\n" for k, photo in enumerate(ids)))
    assert shapes_of(open_dataset(root), "train") == {"aspect": [1.778, 1.778], "hfov_deg": [60.0, 80.0]}
