"""Photos: every orientation, every colour mode, no larger than needed, and nothing strange gets in."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
import simplejpeg
from PIL import Image, ImageOps

import fakes
from justzoomin.data import decode_photo, decoding, scans, wide_photo
from justzoomin.data.scans import reduced_jpeg
from justzoomin.errors import PhotoError

PICTURE = fakes.picture(96, 64)


def mean_difference(a, b):
    return float(np.abs(a.astype(float) - b.astype(float)).mean())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientations_are_undone_as_pillow_does(orientation):
    data = fakes.with_exif(PICTURE, orientation)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    found = decode_photo(data, "x")
    assert found.shape == expected.shape and found.flags.c_contiguous
    assert mean_difference(found, expected) < 1.0
    upright = decode_photo(fakes.with_exif(PICTURE, 1), "x")
    assert found.shape == (upright.shape if orientation < 5 else (96, 64, 3))


@pytest.mark.parametrize("orientation", [0, 9, 255])
def test_orientations_that_do_not_exist_are_none(orientation):
    assert np.array_equal(decode_photo(fakes.with_exif(PICTURE, orientation), "x"),
                          decode_photo(fakes.with_exif(PICTURE, 1), "x"))


def test_an_exif_part_that_is_garbage_does_not_cost_the_photo():
    data = fakes.with_exif(PICTURE, 6)
    at = data.index(b"Exif\0\0") + 6
    assert decode_photo(data[:at] + b"\xff" * 12 + data[at + 12:], "x").shape == (64, 96, 3)
    as_text = data.replace(struct.pack(">HHI", 0x0112, 3, 1), struct.pack(">HHI", 0x0112, 2, 1))
    assert as_text != data
    assert decode_photo(as_text, "x").shape == (64, 96, 3)


def test_real_orientations(shared):
    for name, turned in (("portrait_6.jpg", True), ("landscape_3.jpg", False)):
        data = (shared / "data" / "exif" / name).read_bytes()
        expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
        found = decode_photo(data, name)
        assert found.shape == expected.shape and (found.shape[0] > found.shape[1]) == turned
        assert mean_difference(found, expected) < 1.0


def grey_ramp():
    return np.tile(np.linspace(0, 255, 64).astype(np.uint8), (48, 1))


@pytest.mark.parametrize(("mode", "kind"), [
    ("L", "JPEG"), ("CMYK", "JPEG"), ("L", "PNG"), ("LA", "PNG"), ("P", "PNG"), ("RGBA", "PNG"), ("RGB", "WEBP"),
    ("RGB", "TIFF"), ("RGB", "BMP"), ("P", "GIF"), ("RGB", "MPO"), ("YCbCr", "JPEG")])
def test_all_common_modes_become_rgb(mode, kind):
    ramp = grey_ramp()
    found = decode_photo(fakes.encoded(Image.fromarray(ramp).convert("RGB").convert(mode), kind), "x")
    assert found.dtype == np.uint8 and found.shape == (48, 64, 3)
    assert mean_difference(found, np.repeat(ramp[:, :, None], 3, 2)) < (20 if mode == "P" else 3)  # a palette is coarse


def test_sixteen_bits_of_grey_are_scaled_not_clipped():
    ramp = grey_ramp()
    found = decode_photo(fakes.encoded(Image.fromarray(ramp.astype(np.uint16) * 257), "PNG"), "x")
    assert np.array_equal(found, np.repeat(ramp[:, :, None], 3, 2))


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_values_that_are_no_colours_are_refused(dtype):
    with pytest.raises(PhotoError, match="8 bits"):
        decode_photo(fakes.encoded(Image.fromarray(grey_ramp().astype(dtype)), "TIFF"), "x")


def jpeg_with_size(width, height):
    data = bytearray(fakes.encoded(PICTURE))
    at = data.index(b"\xff\xc0")
    data[at + 5:at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def png_with_size(width, height):
    data = bytearray(fakes.encoded(PICTURE, "PNG"))
    data[16:24] = struct.pack(">II", width, height)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    return bytes(data)


@pytest.mark.parametrize("data", [jpeg_with_size(12_000, 12_000), jpeg_with_size(65_000, 65_000),
                                  png_with_size(11_000, 11_000), png_with_size(2**31 - 1, 2**31 - 1)])
def test_huge_pixel_counts_are_refused_before_decoding(data, monkeypatch):
    def never(*args, **kwargs):
        raise AssertionError("decoded")

    monkeypatch.setattr(simplejpeg, "decode_jpeg", never)
    monkeypatch.setattr(Image.Image, "load", never)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(PhotoError, match="pixels"):
            decode_photo(data, "bomb.jpg")


@pytest.mark.parametrize(("data", "words"), [
    (b"", "cannot be read as an image"), (b"not an image at all", "cannot be read as an image"), (b"%PDF-1.4", "as an image"),
    (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 50 50\n%%EndComments\n", "cannot be read as an image"),
    (fakes.encoded(PICTURE)[:700], "broken"), (fakes.encoded(PICTURE, progressive=True)[:-40], "broken"),
    (fakes.encoded(PICTURE, "PNG")[:300], "broken"), (fakes.encoded(PICTURE)[:10], "cannot be read as an image|broken"),
    (fakes.encoded(fakes.picture(15, 200)), "at least 16"), (fakes.encoded(fakes.picture(200, 8)), "at least 16"),
])
def test_what_cannot_be_used_says_why_and_names_the_file(data, words):
    with pytest.raises(PhotoError, match=words) as caught:
        decode_photo(data, "here/photo.jpg")
    assert str(caught.value).startswith("here/photo.jpg: ") and caught.value.remedy


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "GIF"])
def test_damaged_files_give_pixels_or_a_photo_error(kind):
    rng = np.random.default_rng(3)
    exif = Image.Exif()
    exif[0x0112] = 6
    good = fakes.encoded(fakes.picture(40, 32), kind, **({} if kind == "GIF" else {"exif": exif}))
    for _ in range(150):
        data = bytearray(good)
        for _ in range(rng.integers(1, 6)):
            data[rng.integers(0, min(len(data), 400))] = rng.integers(0, 256)
        try:
            assert decode_photo(bytes(data), "x").dtype == np.uint8
        except PhotoError as error:
            assert error.remedy


def test_warnings_of_other_people_stay_on(recwarn):
    before = list(warnings.filters)
    decode_photo(fakes.encoded(PICTURE), "x")
    assert warnings.filters == before


def test_decoding_is_scaled(monkeypatch):
    """A 2048 x 1152 photo that becomes 768 x 384 is decoded at half its size."""
    sizes, decode = [], simplejpeg.decode_jpeg

    def spy(*args, **kwargs):
        sizes.append(decode(*args, **kwargs).shape[:2])
        return decode(*args, **kwargs)

    monkeypatch.setattr(decoding.simplejpeg, "decode_jpeg", spy)
    data = fakes.encoded(fakes.picture(2048, 1152), quality=90)
    scaled, full = wide_photo(data, "x", 384), wide_photo(data, "x", 384, "full")
    small, turned = wide_photo(data, "x", 64), wide_photo(fakes.with_exif(fakes.picture(2048, 1152), 6), "x", 64)
    assert sizes[1] == (1152, 2048)
    assert 384 <= sizes[0][0] < 1152 and 768 <= sizes[0][1] < 2048
    assert sizes[2] == (144, 256)
    assert sizes[3][1] < 2048 and turned.shape == small.shape == (64, 128, 3)  # height and width swap with orientation
    assert scaled.shape == full.shape == (384, 768, 3)
    assert mean_difference(scaled, full) < 1.5


def test_scaled_decoding_of_real_photos_is_close_to_full(shared):
    for path in sorted((shared / "data" / "photos").glob("*.jpg"))[:2]:
        data = path.read_bytes()  # full decoding and bilinear without antialiasing flickers, scaled does not
        assert mean_difference(wide_photo(data, "x", 384), wide_photo(data, "x", 384, "full")) < 8.0


def progressive(width=640, height=360, **options):
    rng = np.random.default_rng(5)
    picture = np.clip(fakes.picture(width, height).astype(int) + rng.normal(0, 12, (height, width, 1)), 0, 255).astype(np.uint8)
    return fakes.encoded(picture, quality=92, progressive=True, **options)


def test_a_reduced_jpeg_is_smaller_and_shows_the_same():
    data = progressive()
    reduced = reduced_jpeg(data)
    assert len(reduced) < 0.8 * len(data)
    found, whole = (simplejpeg.decode_jpeg(d, "RGB", strict=True) for d in (reduced, data))
    assert found.shape == whole.shape and 0 < mean_difference(found, whole) < 12
    small = [np.asarray(Image.fromarray(p).resize((160, 90), Image.Resampling.BOX)) for p in (found, whole)]
    assert mean_difference(*small) < 3
    assert reduced_jpeg(reduced) == reduced


def test_what_is_no_whole_progressive_jpeg_stays_as_it_is():
    data = progressive()
    for other in (fakes.encoded(PICTURE), fakes.encoded(PICTURE, "PNG"), b"", b"\xff\xd8\xff", data[:-2], data[:len(data) // 2],
                  data.replace(b"\xff\xc2", b"\xff\xc9", 1)):
        assert reduced_jpeg(other) == other


def test_damaged_jpegs_are_reduced_without_an_error_of_another_kind():
    rng, good = np.random.default_rng(4), progressive(96, 64)
    for _ in range(200):
        data = bytearray(good)
        for _ in range(rng.integers(1, 6)):
            data[rng.integers(0, len(data))] = rng.integers(0, 256)
        assert len(reduced_jpeg(bytes(data))) <= len(data)
        try:
            assert wide_photo(bytes(data), "x", 20, "quick").shape == (20, 40, 3)
        except PhotoError as error:
            assert error.remedy


def test_a_cut_photo_is_found_by_quick_decoding_too():
    data = progressive()
    for share in (0.3, 0.6, 0.95):
        with pytest.raises(PhotoError, match="broken"):
            wide_photo(data[:int(share * len(data))], "x", 48, "quick")


@pytest.mark.parametrize("pixels", [48, 224, 384])
def test_quick_decoding_is_near_a_full_decode_with_antialiasing(shared, pixels):
    differences = []
    for path in sorted((shared / "data" / "photos").glob("*.jpg")):
        data = path.read_bytes()
        full = Image.open(io.BytesIO(data)).convert("RGB").resize((2 * pixels, pixels), Image.Resampling.BILINEAR)
        differences.append(mean_difference(wide_photo(data, path.name, pixels, "quick"), np.asarray(full)))
    assert np.mean(differences) < 2.0


def test_quick_decoding_reduces_only_photos_much_larger_than_needed(monkeypatch):
    seen = []
    monkeypatch.setattr(scans, "reduced_jpeg", lambda data: seen.append(1) or data)
    data = progressive()
    wide_photo(data, "x", 240, "quick")
    wide_photo(data, "x", 100, "scaled")
    assert not seen
    wide_photo(data, "x", 100, "quick")
    assert seen


def test_crops_are_taken_where_they_say():
    ramp = np.broadcast_to(np.linspace(0, 255, 400).astype(np.uint8)[None, :, None], (200, 400, 3))
    data = fakes.encoded(np.ascontiguousarray(ramp), "PNG")
    left = wide_photo(data, "x", 50, crop=(0.0, 0.25, 0.5, 0.5))
    assert left.shape == (50, 100, 3)
    assert abs(left.mean() - 255 / 4) < 2 and left[:, -1].mean() == pytest.approx(127, abs=3)


def test_small_photos_are_enlarged():
    assert wide_photo(fakes.encoded(fakes.picture(32, 20)), "x", 96).shape == (96, 192, 3)
