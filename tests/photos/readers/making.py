"""Small photos with headers of all kinds."""

import io
from pathlib import Path
from typing import Any

from PIL import Image, TiffImagePlugin

LUND = (55.698167, 13.195389)
GPANO = ('<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description xmlns:GPano="http://ns.google.com/photos/1.0/panorama/" {} />'
         "</x:xmpmeta>")


def rational(numerator: int, denominator: int = 1) -> TiffImagePlugin.IFDRational:
    return TiffImagePlugin.IFDRational(numerator, denominator)


def dms(angle: float) -> tuple[TiffImagePlugin.IFDRational, ...]:
    angle = abs(angle)
    minutes = angle % 1 * 60
    return rational(int(angle)), rational(int(minutes)), rational(round(minutes % 1 * 60 * 10000), 10000)


def gps_tags(lat: float, lon: float, **more: Any) -> dict[int, Any]:
    return {1: "N" if lat >= 0 else "S", 2: dms(lat), 3: "E" if lon >= 0 else "W", 4: dms(lon),
            **{int(k[1:]): v for k, v in more.items()}}


def photo(path: Path, gps: dict[int, Any] | None = None, exif: dict[int, Any] | None = None, main: dict[int, Any] | None = None,
          size: tuple[int, int] = (40, 30), xmp: str = "", kind: str = "JPEG") -> Path:
    """Write a photo with tags of the GPS, EXIF and first IFD."""
    tags = Image.Exif()
    for number, value in (main or {}).items():
        tags[number] = value
    tags[0x0131] = "making.py"  # Pillow writes no EXIF if the first IFD is empty
    for ifd, values in ((0x8825, gps), (0x8769, exif)):
        if values:
            tags.get_ifd(ifd).update(values)
    options: dict[str, Any] = {"xmp": xmp.encode()} if xmp else {}
    buffer = io.BytesIO()
    if kind == "TIFF":
        options["tiffinfo"] = {**(main or {}), **{ifd: values for ifd, values in ((0x8825, gps), (0x8769, exif)) if values}}
    else:
        options["exif"] = tags
    Image.new("RGB", size, (90, 120, 40)).save(buffer, kind, **options)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(buffer.getvalue())
    return path
