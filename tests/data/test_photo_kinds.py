"""Photos of every kind and every lie: what is decoded, what is refused with plain words."""

import base64
import importlib
import io
import struct
import warnings
import zlib

import numpy as np
import pytest
import simplejpeg
from PIL import Image, ImageCms

import fakes
from justzoomin.data import decode_photo
from justzoomin.errors import PhotoError, TileError
from justzoomin.filekind import MAX_JPEG_SCANS, looks_like
from justzoomin.tiles.decoding import decode_tile

PICTURE = fakes.picture(96, 64)
ARITHMETIC = (
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgMCAgMDAwMEAwMEBQgFBQQEBQoHBwYIDAoMDAsKCwsNDhIQDQ4RDgsLEBYQERMUFRUVDA8XGB"
    "YUGBIUFRT/2wBDAQMEBAUEBQkFBQkUDQsNFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBT/yQARCAAQ"
    "ABgDASIAAhEBAxEB/8wACgAQEAUBEBEF/9oADAMBAAIRAxEAPwD/AN1+Fje8nbmfeOugSRQwZF1OdFBtBrJAAFhmZFjED/raaubCXTrgBVnQv5"
    "HxpSyEVDO6DISxSgis3i1wkiXywP/Z")
"""A JPEG of 24 x 16 pixels with arithmetic coding, by cjpeg: red grows by 10 to the right, green by 15 down."""


def mean_difference(a, b):
    return float(np.abs(np.asarray(a).astype(float) - np.asarray(b).astype(float)).mean())


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP", "GIF", "TIFF"])
def test_the_content_decides_not_the_name(kind):
    data = fakes.encoded(PICTURE, kind, **({"lossless": True} if kind == "WEBP" else {}))
    assert mean_difference(decode_photo(data, "photo.jpg"), PICTURE) < (8 if kind == "GIF" else 0.5)


@pytest.mark.parametrize(("data", "words"), [
    (b"%PDF-1.7\n%\xe2\xe3", "a PDF document"), (b"<!DOCTYPE html><html>404", "an HTML page"),
    (b"\n <HTML><body>", "an HTML page"), (b"<svg xmlns='x'/>", "an SVG drawing"),
    (b"<?xml version='1.0'?><Error/>", "an XML text"),
    (b'{"error": 1}', "a JSON text"), (b"PK\x03\x04" + bytes(60), "a ZIP archive"), (b"\x1f\x8b\x08" + bytes(9), "a gzip file"),
    (bytes(500), "a file of zeros"), (b"", "an empty file"), (b"just words", "a text"),
    (b"\0\0\0\x18ftypmp42" + bytes(20), "a video"),
    (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1", "an AVIF picture"), (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000"),
    (b"\xff\x0a\x00\x01", "a JPEG XL"), (b"version https://git-lfs.github.com/spec/v1\noid", "a Git LFS pointer"),
    (b"8BPS\0\x01" + bytes(20), "a Photoshop file"), (b"PAR1" + bytes(20), "a Parquet table")])
def test_what_is_no_photo_says_what_it_looks_like(data, words):
    with pytest.raises(PhotoError, match=f"it looks like {words}") as caught:
        decode_photo(data, "photo.jpg")
    assert caught.value.where == "photo.jpg" and looks_like(data).startswith(words)
    with pytest.raises(TileError, match=words if data else "empty"):
        decode_tile(data, "0/1/2.jpg", 250)
    with pytest.raises(TileError, match=words if data else "empty"):
        decode_tile(data, "0/1/2.png", 250)


def test_random_bytes_look_like_nothing():
    assert looks_like(bytes(range(128, 256))) == ""


def test_cmyk_of_both_kinds():
    """Adobe writes CMYK inverted, and Pillow undoes that; YCCK is CMYK with its first three turned into YCbCr."""
    expected = Image.fromarray(PICTURE)
    adobe = fakes.encoded(expected.convert("CMYK"), quality=95)
    assert b"Adobe" in adobe and mean_difference(decode_photo(adobe, "x"), PICTURE) < 3
    inverted = 255 - np.asarray(expected.convert("CMYK"))
    ycck = simplejpeg.encode_jpeg(np.ascontiguousarray(inverted), 95, "CMYK", "444")
    assert simplejpeg.decode_jpeg_header(ycck)[2] == "YCCK"
    assert mean_difference(decode_photo(ycck, "x"), PICTURE) < 4


def test_progressive_and_arithmetic_jpeg():
    assert mean_difference(decode_photo(fakes.encoded(PICTURE, progressive=True, quality=92), "x"), PICTURE) < 3
    y, x = np.mgrid[0:16, 0:24]
    assert mean_difference(decode_photo(base64.b64decode(ARITHMETIC), "x"), np.dstack([x * 10, y * 15, 255 - x * 10])) < 8


def test_sixteen_bits_of_colour_keep_their_upper_half():
    wide = np.repeat(PICTURE.astype(">u2") * 257, 1, 2)
    rows = b"".join(b"\0" + row.tobytes() for row in wide)
    data = png(96, 64, 16, 2, zlib.compress(rows))
    assert mean_difference(decode_photo(data, "x"), PICTURE) == 0


def test_palettes_with_transparency_warn_nobody(recwarn):
    image = Image.fromarray(PICTURE).quantize(64)
    data = fakes.encoded(image, "PNG", transparency=bytes(range(64)))
    found = decode_photo(data, "x")
    assert mean_difference(found, image.convert("RGB")) == 0 and not list(recwarn)


def test_transparency_is_dropped_not_mixed():
    image = Image.fromarray(np.dstack([PICTURE, np.full(PICTURE.shape[:2], 7, np.uint8)]))
    assert mean_difference(decode_photo(fakes.encoded(image, "PNG"), "x"), PICTURE) == 0


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF", "PNG", "MPO"])
def test_of_several_pictures_the_first_is_taken(kind):
    first, second = (Image.new("RGB", (40, 30), colour) for colour in ((250, 5, 5), (5, 5, 250)))
    data = fakes.encoded(first, kind, save_all=True, append_images=[second])
    assert mean_difference(decode_photo(data, "x"), first) < 6


def test_colour_profiles_are_not_looked_at():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    plain, tagged = fakes.encoded(PICTURE, "PNG"), fakes.encoded(PICTURE, "PNG", icc_profile=profile)
    assert np.array_equal(decode_photo(plain, "x"), decode_photo(tagged, "x"))
    assert decode_photo(fakes.encoded(PICTURE, icc_profile=b"no profile at all"), "x").shape == PICTURE.shape


def heic(picture, **more):
    pillow_heif = pytest.importorskip("pillow_heif", reason="HEIC needs the extra 'own'")
    buffer = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(picture)).save(buffer, quality=95, **more)
    return buffer.getvalue()


def test_heic_upright():
    assert mean_difference(decode_photo(heic(PICTURE), "x.heic"), PICTURE) < 4
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = decode_photo(heic(PICTURE, exif=exif.tobytes()), "x.heic")
    assert turned.shape == (96, 64, 3) and mean_difference(turned, np.rot90(PICTURE, 3)) < 4


def test_heic_broken_small_and_without_the_package(monkeypatch):
    data = heic(PICTURE)
    for part in (data[:200], data[:-100], data[:40]):
        with pytest.raises(PhotoError, match="broken"):
            decode_photo(part, "x.heic")
    with pytest.raises(PhotoError, match="at least 16"):
        decode_photo(heic(fakes.picture(64, 8)), "x.heic")
    real = importlib.import_module

    def missing(name, *rest):
        if name == "pillow_heif":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(PhotoError, match=r"pip install 'justzoomin\[own\]'"):
        decode_photo(data, "x.heic")


def png(width, height, bits, colour, packed):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
            + chunk(b"IDAT", packed) + chunk(b"IEND", b""))


@pytest.mark.parametrize(("width", "height"), [(11_000, 11_000), (2**31 - 1, 2**31 - 1), (20_000, 10_000), (1, 2**31 - 1)])
def test_bombs_are_refused_in_plain_words(width, height):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(PhotoError, match="pixels") as caught:
            decode_photo(png(width, height, 8, 2, b""), "bomb.png")
    assert "DOS" not in str(caught.value) and "bomb attack" not in str(caught.value)
    with pytest.raises(TileError, match=r"the layout says|far too many pixels"):
        decode_tile(png(width, height, 8, 2, b""), "bomb.png", 250)


def test_a_bomb_of_scans_is_refused_before_decoding():
    data = fakes.encoded(fakes.picture(32, 32), progressive=True)
    at = data.rindex(b"\xff\xda")
    bomb = data[:at] + data[at:-2] * (MAX_JPEG_SCANS + 1) + data[-2:]
    with pytest.raises(PhotoError, match="far too many scans"):
        decode_photo(bomb, "x")
    with pytest.raises(TileError, match="far too many scans"):
        decode_tile(bomb, "x.jpg", 32)


def test_pictures_inside_of_text_chunks_are_bounded():
    packed = zlib.compress(bytes(1 << 24))
    data = bytearray(fakes.encoded(PICTURE, "PNG"))
    body = b"zTXt" + b"note\0\0" + packed
    data[33:33] = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    with pytest.raises(PhotoError, match="broken"):
        decode_photo(bytes(data), "x.png")


def test_every_truncation_of_a_jpeg_is_found_at_an_eighth_of_the_size_too():
    """Verification decodes small: that must find what decoding in full finds."""
    data = fakes.encoded(fakes.picture(160, 90), quality=80)
    start = data.index(b"\xff\xda") + 12
    for length in range(start, len(data) - 2, 97):
        for size in (None, (1, 1)):
            with pytest.raises(PhotoError, match="broken"):
                decode_photo(data[:length], "x", size)


def test_tiles_of_other_kinds():
    image = Image.fromarray(fakes.picture(32, 32))
    assert decode_tile(fakes.encoded(image.quantize(32), "PNG", transparency=bytes(32)), "0/0/0.png", 32).shape == (32, 32, 3)
    with pytest.raises(TileError, match=r"CMYK|YCCK"):
        decode_tile(fakes.encoded(image.convert("CMYK")), "0/0/0.jpg", 32)
    grey = Image.fromarray(np.zeros((32, 32), np.uint16))
    with pytest.raises(TileError, match="8 bits per channel"):
        decode_tile(fakes.encoded(grey, "PNG"), "0/0/0.png", 32)
    with pytest.raises(TileError, match="not a readable image: it looks like a PostScript document"):
        decode_tile(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 32 32\n", "0/0/0.png", 32)  # never given to Ghostscript
