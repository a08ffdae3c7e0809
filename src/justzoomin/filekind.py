"""Recognize the kind of a file from its first bytes, for messages, and pictures that would take long to decode."""

from __future__ import annotations

PICTURE_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")
"""Formats that Pillow may open: those of photos and tiles, none that runs another program (EPS starts Ghostscript)."""
MAX_JPEG_SCANS = 200
"""A normal progressive JPEG has about ten scans. Each needs a pass over all pixels, and thousands fit into a small file."""

_HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
_STARTS = (
    (b"\xff\xd8", "a JPEG"), (b"\x89PNG", "a PNG"), (b"GIF8", "a GIF"), (b"II*\0", "a TIFF"), (b"MM\0*", "a TIFF"),
    (b"BM", "a BMP"), (b"%PDF", "a PDF document"), (b"%!PS", "a PostScript document"), (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip file"), (b"7z\xbc\xaf", "a 7z archive"), (b"Rar!", "a RAR archive"), (b"\xfd7zXZ", "an xz file"),
    (b"\x28\xb5\x2f\xfd", "a zstd file"), (b"\x7fELF", "a program"), (b"MZ", "a program"), (b"\0\0\0\x0cjP", "a JPEG 2000"),
    (b"\xff\x0a", "a JPEG XL"), (b"\0\0\0\x0cJXL", "a JPEG XL"), (b"8BPS", "a Photoshop file"), (b"PAR1", "a Parquet table"),
    (b"II+\0", "a BigTIFF"), (b"MM\0+", "a BigTIFF"), (b"\x1aE\xdf\xa3", "a video"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself"),
)


def is_heic(content: bytes) -> bool:
    """Return whether a file is a HEIC photo (ISO/IEC 23008-12), as phones write them."""
    return content[4:8] == b"ftyp" and (content[8:12] in _HEIC_BRANDS) and b"avif" not in content[:32]


def looks_like(content: bytes) -> str:
    """Return the kind of a file with an article, such as "a PDF document"; empty if the first bytes do not tell."""
    if not content:
        return "an empty file"
    if not content[:4096].strip(b"\0"):
        return "a file of zeros"
    if is_heic(content):
        return "a HEIC photo"
    if content[4:8] == b"ftyp":
        return "an AVIF picture" if b"avif" in content[:32] or b"avis" in content[:32] else "a video"
    if content[:4] == b"RIFF":
        return "a WebP" if content[8:12] == b"WEBP" else "a sound or video"
    for start, words in _STARTS:
        if content.startswith(start):
            return words
    text = content[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "an HTML page, perhaps an error page saved under this name"
    if text.startswith((b"<?xml", b"<svg")):
        return "an SVG drawing" if b"<svg" in text else "an XML text"
    if text.startswith((b"{", b"[")) and _is_text(content):
        return "a JSON text"
    return "a text" if _is_text(content) else ""


def too_many_scans(content: bytes) -> bool:
    """Return whether a JPEG has so many scans that decoding would take minutes."""
    return content.count(b"\xff\xda") > MAX_JPEG_SCANS  # inside a scan, other bytes follow 0xff


def _is_text(content: bytes) -> bool:
    part = content[:512]
    return all(byte >= 32 or byte in b"\t\r\n\f" for byte in part) and not any(0x7F <= byte < 0xA0 for byte in part)
