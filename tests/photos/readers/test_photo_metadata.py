"""Only EXIF turns a photo, and it is found wherever a PNG stores it; XMP marks panoramas."""

import struct
import zlib

import numpy as np
import pytest
from making import GPANO, LUND, gps_tags, photo
from PIL import Image, TiffImagePlugin

import fakes
from justzoomin.data import declared_panorama, decode_photo
from justzoomin.data.decoding import photo_aspect
from justzoomin.photos.readers import read_source
from justzoomin.photos.readers.headers import read_header

STALE = ('<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" '
         'tiff:Orientation="6"/></x:xmpmeta>')
SPHERE = GPANO.format('GPano:ProjectionType="equirectangular"')


def written(path, xmp, kind, main=None):
    """Write a photo with XMP; in TIFF it is a tag."""
    if kind == "TIFF":
        return photo(path, main={**(main or {}), 700: xmp.encode()}, size=(64, 32), kind=kind)
    return photo(path, main=main, size=(64, 32), xmp=xmp, kind=kind)


@pytest.mark.parametrize("dpi", [None, (72, 72)])
@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "TIFF"])
def test_a_stale_orientation_in_xmp_turns_no_photo(kind, dpi, tmp_path):
    """Pillow uses it if EXIF states none; for a JPEG without JFIF resolution already when the file is opened."""
    path = written(tmp_path / "x", STALE, kind)
    if kind == "JPEG" and dpi is None:
        data = path.read_bytes()
        path.write_bytes(data[:2] + data[20:] if data[6:10] == b"JFIF" else data)
    assert decode_photo(path.read_bytes(), "x").shape[:2] == (32, 64)
    turned = written(tmp_path / "y", STALE.replace("6", "3"), kind, {0x0112: 6})
    assert decode_photo(turned.read_bytes(), "x").shape[:2] == (64, 32), "the EXIF's orientation must be used"


def test_a_tiff_is_turned_once(tmp_path):
    for orientation, quarter in ((1, 0), (3, 2), (6, 3), (8, 1)):
        image, tags = Image.fromarray(fakes.picture(64, 32)), TiffImagePlugin.ImageFileDirectory_v2()
        tags[0x0112] = orientation
        image.save(tmp_path / "x.tif", tiffinfo=tags)
        data = (tmp_path / "x.tif").read_bytes()
        assert np.array_equal(decode_photo(data, "x"), np.rot90(fakes.picture(64, 32), quarter))
        assert photo_aspect(data) == (0.5 if quarter % 2 else 2.0)


def chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def raw_profile(name, content):
    return f"\n{name}\n{len(content):8d}\n".encode() + b"\n".join(
        content.hex().encode()[k:k + 72] for k in range(0, 2 * len(content), 72)) + b"\n"


def png(*chunks, behind=False):
    data = fakes.encoded(fakes.picture(64, 32), "PNG")
    at = len(data) - 12 if behind else 33
    return data[:at] + b"".join(chunks) + data[at:]


def exif():
    tags = Image.Exif()
    tags[0x0112] = 6
    tags.get_ifd(0x8825).update(gps_tags(*LUND))
    return tags.tobytes()  # with its header, Exif and two zero bytes


def text(kind, keyword, content):
    if kind == b"zTXt":
        return chunk(kind, keyword + b"\0\0" + zlib.compress(content))
    if kind == b"iTXt":
        return chunk(kind, keyword + b"\0\1\0en\0x\0" + zlib.compress(content))
    return chunk(kind, keyword + b"\0" + content)


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("made", [
    lambda: chunk(b"eXIf", exif()[6:]), *(lambda k=k, n=n: text(k, b"Raw profile type " + n, raw_profile(n.decode(), exif()))
                                          for k in (b"tEXt", b"zTXt", b"iTXt") for n in (b"exif", b"APP1"))])
def test_the_exif_of_a_png_is_found_in_each_of_its_places(made, behind, tmp_path):
    path = tmp_path / "p.png"
    path.write_bytes(png(made(), behind=behind))
    [record] = read_source(path).records
    assert (record.lat, record.lon) == pytest.approx(LUND, abs=1e-5)
    assert np.array_equal(decode_photo(path.read_bytes(), "x"), np.rot90(fakes.picture(64, 32), 3))


def test_the_exif_chunk_comes_before_raw_profiles_and_damage_is_no_exif(tmp_path):
    other = Image.Exif()
    other[0x0112] = 3
    profile = text(b"zTXt", b"Raw profile type exif", raw_profile("exif", other.tobytes()))
    (tmp_path / "p.png").write_bytes(png(profile, chunk(b"eXIf", exif()[6:])))
    assert read_header(tmp_path / "p.png").main[0x0112] == 6
    good = text(b"zTXt", b"Raw profile type exif", raw_profile("exif", exif()))
    for bad in (text(b"tEXt", b"Raw profile type exif", b"\nexif\n 8\nno digits"), text(b"tEXt", b"Raw profile type exif", b""),
                chunk(b"zTXt", b"Raw profile type exif\0\0not packed"), chunk(b"zTXt", good[8:40])):
        (tmp_path / "p.png").write_bytes(png(bad))
        header = read_header(tmp_path / "p.png")
        assert not header.gps and (header.width, header.height) == (64, 32)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "TIFF"])
def test_a_panorama_is_recognized_by_its_xmp(kind, tmp_path):
    data = written(tmp_path / "x", SPHERE, kind).read_bytes()
    assert declared_panorama(data)["ProjectionType"] == "equirectangular"
    assert declared_panorama(photo(tmp_path / "y", size=(64, 32), kind=kind).read_bytes()) == {}
    assert declared_panorama(b"GPano: no picture") == declared_panorama(b"") == {}


def test_a_panorama_as_png_is_recognized_too(tmp_path):
    for made in (chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + SPHERE.encode()),
                 text(b"zTXt", b"Raw profile type xmp", raw_profile("xmp", SPHERE.encode()))):
        assert declared_panorama(png(made))["ProjectionType"] == "equirectangular"
        (tmp_path / "p.png").write_bytes(png(made, behind=True))
        assert "equirectangular" in read_header(tmp_path / "p.png").xmp
