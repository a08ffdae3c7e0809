"""The pixels of a virtual raster that its sources fill: GDAL gives 0, which is black, for all others."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

from justzoomin.errors import TileError
from justzoomin.imagery.base import Mask
from justzoomin.imagery.vrt import attribute, named_source, parse_vrt, tag_name

Boxes = npt.NDArray[np.float64]
"""First and last column and row of rectangles: left, top, right, bottom. (N, 4)"""
_SOURCES = {"simplesource", "complexsource", "averagedsource", "kernelfilteredsource", "nodatafrommasksource"}
_RESCALES = {"scaleratio", "exponent", "lut", "colortablecomponent"}
_MOST_BOXES = 1_000_000
_LEAVES_OUT = {"nodata", "usemaskband"}


class VrtCover(NamedTuple):
    """The pixels that the sources of a VRT fill.

    Args:
        boxes: Filled rectangles for each band read; bands with equal ones are listed once.
        leaves_out: Whether sources leave out single pixels in them: GDAL gives 0 there too.
        files: Files whose values the bands hold unchanged.
        rescales: Whether values are computed from others.
    """

    boxes: tuple[Boxes, ...]
    leaves_out: bool
    files: tuple[Path, ...]
    rescales: bool

    def mask(self, window: tuple[int, int, int, int], shape: tuple[int, int]) -> Mask:
        """Return True where all bands are filled, in a window (column, row, width, height) at a size (rows, columns)."""
        column, row, width, height = window
        there = np.ones(shape, np.bool_)
        scale = np.array([shape[1] / width, shape[0] / height] * 2)
        for boxes in self.boxes:
            edges = np.ceil((boxes - np.array([column, row] * 2)) * scale - 0.5 - 1e-9)  # pixels with their centre inside
            edges = np.clip(edges, 0, [shape[1], shape[0]] * 2).astype(np.int64)
            band = np.zeros(shape, np.bool_)
            for left, top, right, bottom in edges[(edges[:, :2] < edges[:, 2:]).all(1)].tolist():
                band[top:bottom, left:right] = True
            there &= band
        return there


def vrt_cover(path: Path, bands: tuple[int, ...]) -> VrtCover:
    """Return the pixels that the sources of a checked VRT fill in some of its bands.

    Raises:
        TileError: If a number in it cannot be read.
    """
    root = parse_vrt(path)
    elements = {int(attribute(band, "band", str(k))): band for k, band in enumerate(_children(root, "vrtrasterband"), 1)}
    try:
        covers = [_filled(path, root, elements[number]) for number in bands]
    except (ValueError, KeyError, OverflowError) as error:
        raise TileError(path, f"a rectangle or band in this VRT cannot be read ({error})",
                        "Build it again with gdalbuildvrt.") from error
    boxes = {cover.boxes[0].tobytes(): cover.boxes[0] for cover in covers}
    return VrtCover(tuple(boxes.values()), any(cover.leaves_out for cover in covers),
                    tuple(dict.fromkeys(file for cover in covers for file in cover.files)),
                    any(cover.rescales for cover in covers))


def _filled(path: Path, root: ElementTree.Element, band: ElementTree.Element) -> VrtCover:
    """Return the pixels that the sources fill in one band."""
    sources = [element for element in band if tag_name(element) in _SOURCES]
    size = _size(root)
    if not sources and (attribute(band, "subclass") or attribute(root, "subclass")):
        return VrtCover((np.array([[0.0, 0.0, *size]]),), True, (), True)  # warped: its source may not fill it
    found, leaves_out = [np.empty((0, 4))], False
    files: list[Path] = []
    rescales = any(tag_name(element) == "pixelfunctiontype" for element in band)
    for source in sources:
        left, top, right, bottom = _rectangle(source, "dstrect", size)
        boxes = np.array([[left, top, right, bottom]])
        inside = next((named_source(path, element) for element in source if tag_name(element) == "sourcefilename"), None)
        if inside is not None and inside.suffix.lower() == ".vrt":
            number = next((element.text or "1" for element in source if tag_name(element) == "sourceband"), "1")
            cover = vrt_cover(inside, (int(number.removeprefix("mask,")),))
            x0, y0, x1, y1 = _rectangle(source, "srcrect", _size(parse_vrt(inside)))
            scale, edge = np.array([(right - left) / (x1 - x0), (bottom - top) / (y1 - y0)] * 2), np.array([x0, y0, x1, y1])
            boxes = np.clip(cover.boxes[0], edge[[0, 1, 0, 1]], edge[[2, 3, 2, 3]])
            boxes = (boxes - edge[[0, 1, 0, 1]]) * scale + np.array([left, top, left, top])
            leaves_out |= cover.leaves_out
            rescales |= cover.rescales
            files += cover.files
        elif inside is not None:
            files.append(inside)
        found.append(boxes)
        if sum(map(len, found)) > _MOST_BOXES:
            raise TileError(path, f"it is made of more than {_MOST_BOXES:,} parts",
                            "Make a plain file from it with gdal_translate.")
        inner = {tag_name(element) for element in source}
        leaves_out |= bool(inner & _LEAVES_OUT) or tag_name(source) == "nodatafrommasksource"
        rescales |= bool(inner & _RESCALES)
    return VrtCover((np.concatenate(found),), leaves_out, tuple(files), rescales)


def _rectangle(source: ElementTree.Element, name: str, size: tuple[float, float]) -> tuple[float, float, float, float]:
    """Return a source's rectangle: left, top, right, bottom; the complete raster if it states none."""
    for element in _children(source, name):
        left, top, width, height = (float(attribute(element, key)) for key in ("xoff", "yoff", "xsize", "ysize"))
        return left, top, left + width, top + height
    return 0.0, 0.0, *size


def _size(root: ElementTree.Element) -> tuple[float, float]:
    return float(attribute(root, "rasterxsize")), float(attribute(root, "rasterysize"))


def _children(element: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [child for child in element if tag_name(child) == name]
