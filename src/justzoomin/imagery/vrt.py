"""Virtual rasters: only those that name plain raster files of this machine are allowed.

A VRT can name addresses on the network, archives, databases, raw bytes of any file, and code. GDAL would open all of
them, so the text is read and checked before GDAL gets it.
"""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn
from xml.etree import ElementTree

from justzoomin.errors import TileError
from justzoomin.untrusted import read_limited

RASTER_SUFFIXES = (".tif", ".tiff", ".jp2", ".j2k", ".j2c", ".jpc", ".jpx", ".vrt")
_MAX_BYTES = 64 << 20
_MAX_NESTED = 8
_SOURCES = {"sourcefilename", "sourcedataset", "sourcepath"}
_REFUSED = {"pixelfunctioncode": "code", "pixelfunctionlanguage": "code", "arraysource": "multidimensional arrays",
            "group": "multidimensional arrays", "processingsteps": "processing steps",
            "geoloctransformer": "geolocation arrays"}
_REFUSED_CLASSES = {"vrtrawrasterband": "raw bytes of a file", "vrtprocesseddataset": "processing steps"}
_REMEDY = "If you trust it, make a plain file from it with gdal_translate."


def vrt_files(path: Path, nested: int = 0) -> list[Path]:
    """Return the raster files that a VRT is made of, including those of VRTs in it.

    Raises:
        TileError: If it is not XML, names anything but raster files of this machine, or contains code.
    """
    if nested >= _MAX_NESTED:
        raise TileError(path, f"its VRTs are nested more than {_MAX_NESTED} deep", "Flatten it with gdal_translate.")
    found: list[Path] = []
    for element in parse_vrt(path).iter():
        tag = tag_name(element)
        refused = _REFUSED.get(tag) or _REFUSED_CLASSES.get(attribute(element, "subclass").lower())
        if refused:
            raise TileError(path, f"this VRT contains {refused}", _REMEDY)
        if tag in _SOURCES:
            source = named_source(path, element)
            found.append(source)
            if source.suffix.lower() == ".vrt":
                found += vrt_files(source, nested + 1)
    return found


def parse_vrt(path: Path) -> ElementTree.Element:
    """Parse the XML of a VRT; entities are refused.

    Raises:
        TileError: If it is not XML, or declares entities.
    """
    try:
        text = read_limited(path, _MAX_BYTES)
        if b"<!DOCTYPE" in text.upper() or b"<!ENTITY" in text.upper():
            raise TileError(path, "this VRT declares XML entities", _REMEDY)
        return ElementTree.fromstring(text)
    except OSError as error:
        raise TileError(path, f"it cannot be read ({error.strerror})", "Give a readable file.") from error
    except (ElementTree.ParseError, ValueError, RecursionError) as error:
        raise TileError(path, f"this VRT is not valid XML ({error})", "Build it again with gdalbuildvrt.") from error


def tag_name(element: ElementTree.Element) -> str:
    """Return an element's name in lower case, because GDAL reads names in any case."""
    return element.tag.rpartition("}")[2].lower()


def attribute(element: ElementTree.Element, name: str, default: str = "") -> str:
    """Return an attribute by its lower-case name, whatever its case in the file."""
    return next((value for key, value in element.attrib.items() if key.lower() == name), default)


def named_source(path: Path, element: ElementTree.Element) -> Path:
    """Return the file that an element of a VRT names; it must be a raster file of this machine.

    Raises:
        TileError: If it is anything else, or missing.
    """
    name = (element.text or "").strip()
    relative = attribute(element, "relativetovrt", "0").strip().lower() in {"1", "yes", "true", "on"}
    shown = f"{path}: source {name[:120]!r}"
    if not name or "\0" in name or "<" in name or ":" in name[2:] or name.lower().startswith(("/vsi", "vrt:", "\\\\", "//")):
        _refuse(shown)
    source = path.parent / name if relative or not Path(name).is_absolute() else Path(name)
    if "/vsi" in str(source).lower()[:4] or source.suffix.lower() not in RASTER_SUFFIXES:
        _refuse(shown)
    if not source.is_file():
        raise TileError(shown, "there is no such file", "Copy it there, or build the VRT again with gdalbuildvrt.")
    return source


def _refuse(shown: str) -> NoReturn:
    raise TileError(shown, f"a VRT may name only plain files of this machine with the extensions {' '.join(RASTER_SUFFIXES)}, "
                    "but no addresses, archives or connections",
                    "Download the file and build the VRT again with gdalbuildvrt.")
