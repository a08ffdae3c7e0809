"""Strip JPEG files of everything but the picture, without touching its pixels."""

from __future__ import annotations

from justzoomin.errors import PhotoError

_APP0, _APP14, _APP15, _COM, _SOI, _EOI, _SOS, _TEM = 0xE0, 0xEE, 0xEF, 0xFE, 0xD8, 0xD9, 0xDA, 0x01
_RESTARTS = range(0xD0, 0xD8)


def strip_jpeg(data: bytes, where: str) -> bytes:
    """Return a JPEG without metadata; its picture is bit-identical.

    Removed are all application segments (EXIF, XMP, colour profiles, maker notes), comments, thumbnails, and everything after
    the picture: second pictures, depth maps, videos. Kept are the plain JFIF header and Adobe's colour transform, because
    decoding depends on them.

    Args:
        data: The file.
        where: Its name, for messages.

    Raises:
        PhotoError: If its segments cannot be followed to the end of the picture.
    """
    if data[:2] != bytes((0xFF, _SOI)):
        raise PhotoError(where, "the file is not a JPEG", "Give the photo as it came from the camera.")
    out, at = [data[:2]], 2
    while True:
        at, marker = _next_marker(data, at, where)
        if marker == _EOI:
            out.append(bytes((0xFF, _EOI)))
            return b"".join(out)
        if marker in _RESTARTS or marker == _TEM:
            continue
        length = int.from_bytes(data[at:at + 2], "big")
        end = at + length
        if length < 2 or end > len(data):
            raise _broken(where)
        kept = _kept(marker, data[at + 2:end])
        if kept is not None:
            out.append(bytes((0xFF, marker)) + (len(kept) + 2).to_bytes(2, "big") + kept)
        at = end
        if marker == _SOS:
            end = _scan_end(data, at, where)
            out.append(data[at:end])
            at = end


def _broken(where: str) -> PhotoError:
    return PhotoError(where, "the JPEG is cut off or its segments are broken", "Fetch or export the photo again.")


def _next_marker(data: bytes, at: int, where: str) -> tuple[int, int]:
    """Return the next marker and where its content begins; fill bytes before it are skipped."""
    while at + 1 < len(data):
        if data[at] != 0xFF:
            raise _broken(where)
        at += 1
        if data[at] != 0xFF:
            return at + 1, data[at]
    raise _broken(where)


def _kept(marker: int, body: bytes) -> bytes | None:
    """Return what to keep of a segment: all of tables and frames, the bare JFIF header, Adobe's segment; else nothing."""
    if marker == _APP0:
        return body[:12] + b"\0\0" if body.startswith(b"JFIF\0") and len(body) >= 14 else None  # without its thumbnail
    if marker == _APP14:
        return body[:12] if body.startswith(b"Adobe") and len(body) >= 12 else None
    return None if _APP0 < marker <= _APP15 or marker == _COM else body


def _scan_end(data: bytes, at: int, where: str) -> int:
    """Return where a scan's entropy-coded bytes end: at the next marker that is neither a stuffed byte nor a restart."""
    while True:
        at = data.find(b"\xff", at)
        if at < 0 or at + 1 >= len(data):
            raise _broken(where)
        follower = data[at + 1]
        if follower == 0xFF:
            at += 1
        elif follower == 0 or follower in _RESTARTS:
            at += 2
        else:
            return at
