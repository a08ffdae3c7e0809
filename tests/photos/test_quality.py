"""Blurred photos, repeated photos and metadata are recognized."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fakes import encoded, picture, with_exif
from justzoomin.errors import PhotoError
from justzoomin.geometry import from_local, haversine_m
from justzoomin.photos import ImportSettings
from justzoomin.photos.jpegs import strip_jpeg
from justzoomin.photos.quality import LOOKED_AT_PX, Seen, difference_hash, find_twins, look, sharpness

LEAST = ImportSettings().min_sharpness
CENTRE = (54.5, 3.0)


def textured(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (90, 160, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)


def test_real_photos_are_sharp_and_blurred_ones_are_not(shared: Path) -> None:
    paths = [*sorted((shared / "data" / "photos").glob("*.jpg"))[:3], *sorted((shared / "data" / "lund").glob("*.jpg"))[:2],
             *sorted((shared / "data" / "exif").glob("*.jpg"))]
    assert len(paths) >= 8
    for path in paths:
        pixels = np.asarray(Image.open(path).convert("RGB"))
        small = cv2.resize(pixels, (round(pixels.shape[1] * LOOKED_AT_PX / pixels.shape[0]), LOOKED_AT_PX),
                           interpolation=cv2.INTER_AREA)
        assert look(pixels).sharpness > 10 * LEAST, path
        assert look(cv2.GaussianBlur(small, (0, 0), 2.0)).sharpness < LEAST, path


def test_blur_lowers_sharpness_and_contrast_does_not() -> None:
    grey = textured()[..., 0]
    values = [sharpness(cv2.GaussianBlur(grey, (0, 0), sigma)) for sigma in (0.5, 1, 2, 4)]
    assert values == sorted(values, reverse=True)
    assert sharpness((grey // 2 + 40).astype(np.uint8)) == pytest.approx(sharpness(grey), rel=0.05)
    assert sharpness(np.full((400, 300), 90, np.uint8)) == 0.0


def test_the_hash_survives_encoding_and_size_and_distinguishes_pictures() -> None:
    one = picture(640, 360, 1)
    again = np.asarray(Image.open(io.BytesIO(encoded(Image.fromarray(one).resize((320, 180)), quality=60))))
    hashes = [difference_hash(p[..., 1]) for p in (one, again, picture(640, 360, 2))]
    assert (hashes[0] ^ hashes[1]).bit_count() <= 3
    assert (hashes[0] ^ hashes[2]).bit_count() > 10


seen = st.builds(lambda digest, word, east, north: Seen(str(digest), word, *map(float, from_local(*CENTRE, east, north))),
                 st.integers(0, 30), st.sampled_from([0, 1, 0b111, 2**64 - 1, 0xFFFF]), st.floats(-8, 8), st.floats(-8, 8))


@settings(max_examples=60)
@given(st.lists(seen, max_size=25), st.sampled_from([0.0, 0.5, 2.0, 5.0]))
def test_twins_equal_those_of_comparing_all_with_all(photos: list[Seen], within_m: float) -> None:
    twins = {t.index: t for t in find_twins(photos, CENTRE, within_m, 2)}
    kept: list[int] = []
    for index, photo in enumerate(photos):
        first = next((k for k in range(index) if photos[k].digest == photo.digest), None)
        alike = next((k for k in kept if (photos[k].hash ^ photo.hash).bit_count() <= 2
                      and haversine_m(photos[k].lat, photos[k].lon, photo.lat, photo.lon) <= within_m), None)
        if first is not None:
            assert (twins[index].of, twins[index].same_bytes) == (first, True)
        elif alike is not None:
            assert (twins[index].of, twins[index].same_bytes) == (alike, False)
        else:
            assert index not in twins
            kept.append(index)


def loaded_jpeg(progressive: bool, grey: bool) -> bytes:
    """Return a JPEG with everything to be removed: EXIF with a position, XMP, a profile, a comment, bytes after the end."""
    image = Image.fromarray(picture(83, 61)).convert("L" if grey else "RGB")
    exif = Image.open(io.BytesIO(with_exif(picture(16, 16), 1, (38.9, -77.0)))).info["exif"]
    data = encoded(image, exif=exif, icc_profile=b"PROFILE" * 20, comment=b"taken by someone", dpi=(300, 300), quality=88,
                   progressive=progressive, xmp=b"<x:xmpmeta>owner</x:xmpmeta>")
    return data + b"\0\0\0\x18ftypmp42GPS+38.9-077.0"


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("grey", [False, True])
def test_metadata_are_removed_and_pixels_kept(progressive: bool, grey: bool) -> None:
    data = loaded_jpeg(progressive, grey)
    assert all(word in data for word in (b"Exif", b"PROFILE", b"someone", b"xmpmeta", b"ftyp"))
    bare = strip_jpeg(data, "photo.jpg")
    for word in (b"Exif", b"PROFILE", b"ICC", b"someone", b"xmp", b"http", b"ftyp", b"GPS"):
        assert word not in bare
    assert bare.startswith(b"\xff\xd8")
    assert bare.endswith(b"\xff\xd9")
    assert np.array_equal(simplejpeg.decode_jpeg(bare, "RGB"), simplejpeg.decode_jpeg(data, "RGB"))
    opened = Image.open(io.BytesIO(bare))
    assert not opened.getexif()
    assert set(opened.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density", "dpi", "progressive", "progression"}
    assert strip_jpeg(bare, "photo.jpg") == bare


def test_restarts_fill_bytes_adobe_and_thumbnails() -> None:
    plain = encoded(Image.fromarray(picture(64, 48)), restart_marker_blocks=2, quality=80)
    thumbnail = b"\xff\xe0" + (16 + 3).to_bytes(2, "big") + b"JFIF\0\x01\x01\0\0\x01\0\x01\x01\x01ABC"
    start = plain.index(b"\xff\xdb")
    odd = plain[:2] + thumbnail + b"\xff\xff\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\x01" + plain[start:]
    bare = strip_jpeg(odd, "photo.jpg")
    assert b"ABC" not in bare
    assert b"Adobe" in bare
    assert np.array_equal(simplejpeg.decode_jpeg(bare, "RGB"), simplejpeg.decode_jpeg(odd, "RGB"))


@given(st.integers(0, 10_000), st.binary(max_size=6))
def test_hostile_segments_end_in_an_error(at: int, junk: bytes) -> None:
    data = with_exif(picture(32, 32), 1)
    at %= len(data)
    for broken in (data[:at], data[:at] + junk + data[at + len(junk):]):
        try:
            strip_jpeg(broken, "x.jpg")
        except PhotoError as error:
            assert str(error).startswith("x.jpg: ")
