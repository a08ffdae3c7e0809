"""Harmless faults of JPEGs cost no pixel; lost data is refused, whatever comes before it."""

import numpy as np
import pytest
import simplejpeg

import fakes
from justzoomin.data import decode_photo, decoding
from justzoomin.errors import PhotoError, TileError
from justzoomin.tiles import decode_tile, mended_jpegs

NOISE = np.random.default_rng(1).normal(0, 20, (96, 96, 1))
PICTURE = np.clip(fakes.picture(96, 96).astype(int) + NOISE, 0, 255).astype(np.uint8)
SEQUENTIAL, PROGRESSIVE = (fakes.encoded(PICTURE, progressive=p, quality=90) for p in (False, True))
FLAT = fakes.encoded(np.full((48, 48, 3), 128, np.uint8))
RESTARTS = fakes.encoded(PICTURE, restart_marker_blocks=3)
BOTH = [SEQUENTIAL, PROGRESSIVE]


def jfif_3(data: bytes) -> bytes:
    at = data.index(b"JFIF\0")
    return data[:at + 5] + b"\3\0" + data[at + 7:]


def spectral_end_0(data: bytes) -> bytes:
    at = data.index(b"\xff\xda")
    at += 5 + 2 * data[at + 4]
    return data[:at] + b"\0\0\0" + data[at + 3:]


def zeros_between(data: bytes) -> bytes:
    at = data.index(b"\xff\xdb")
    return data[:at] + bytes(7) + data[at:]


def adobe_9(data: bytes) -> bytes:
    return data[:2] + b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\x09" + data[2:]


def padded(data: bytes) -> bytes:
    return data[:-2] + bytes(50) + data[-2:]


def without_end(data: bytes) -> bytes:
    return data[:-2]


FAULTS = [jfif_3, zeros_between, adobe_9, padded, without_end, lambda d: d[:-1], lambda d: d[:-2] + bytes(50),
          lambda d: without_end(jfif_3(zeros_between(d)))]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("good", [*BOTH, FLAT, RESTARTS])
def test_harmless_faults_cost_no_pixel(fault, good):
    data = fault(good)
    assert data != good
    if fault is not adobe_9:  # without the segment libjpeg takes it for YCbCr as well
        with pytest.raises(ValueError):
            simplejpeg.decode_jpeg(data, "RGB", strict=True)
    assert np.array_equal(decode_photo(data, "x"), decode_photo(good, "x"))
    assert np.array_equal(decode_photo(data, "x", (20, 20)), decode_photo(good, "x", (20, 20)))
    assert np.array_equal(simplejpeg.decode_jpeg(decoding.sound_jpeg(data), "RGB", strict=True), decode_photo(good, "x"))


def test_spectral_selection_that_sequential_scans_have_not():
    assert np.array_equal(decode_photo(spectral_end_0(SEQUENTIAL), "x"), decode_photo(SEQUENTIAL, "x"))


def test_cmyk_photos_and_tiles_are_read_so_too():
    cmyk = fakes.encoded(fakes.Image.fromarray(PICTURE).convert("CMYK"))
    assert np.array_equal(decode_photo(without_end(cmyk), "x"), decode_photo(cmyk, "x"))
    assert np.array_equal(decode_tile(padded(jfif_3(SEQUENTIAL)), "0/0/0.jpg", 96), decode_tile(SEQUENTIAL, "0/0/0.jpg", 96))


def cuts(good: bytes):
    """Places where a file may be cut: in its scans, except in the bytes of the last block, and at the ends of scans."""
    first = good.index(b"\xff\xda") + 14
    scans = [at for at in range(first, len(good) - 1) if good[at] == 0xFF and good[at + 1] in (0xC4, 0xDA)]
    return sorted({*range(first, len(good) - 30, 97), *range(len(good) - 60, len(good) - 30), *scans})


@pytest.mark.parametrize("good", BOTH)
def test_lost_data_is_refused_behind_any_harmless_fault(good):
    for at in cuts(good):
        for data in (good[:at], jfif_3(good[:at]), good[:at] + bytes(2000), good[:at] + bytes(2000) + b"\xff\xd9"):
            with pytest.raises(PhotoError, match="broken") as refused:
                decode_photo(data, "x")
            assert "JFIF" not in str(refused.value), "the harmless fault is not what is wrong"


@pytest.mark.parametrize("good", [*BOTH, FLAT, RESTARTS])
def test_a_file_without_faults_is_left_as_it_is(good):
    with_trailer = good + b"a film or second picture behind the end"
    for data in (good, with_trailer):
        assert decoding.sound_jpeg(data) is data
        assert decode_photo(data, "x").shape[2] == 3
    for zeros in mended_jpegs(good):
        assert len(good) - len(zeros) <= 2
    with pytest.raises(TileError):
        decode_tile(b"\xff\xd8" + bytes(90), "0/0/0.jpg", 96)
