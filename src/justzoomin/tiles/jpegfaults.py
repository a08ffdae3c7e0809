"""Repairs harmless faults of JPEG files, so that strict decoding refuses only files that have lost data.

libjpeg warns of many faults that cost no pixel: cameras, drones and old phones write such files every day. The list of all
warnings of a file is not available (only the first is kept). So a file with a warning is decoded again without the faults
that are known to be harmless. A file that still gives a warning has lost data.
Source of the format: ITU-T T.81, annex B.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TypeVar

Decoded = TypeVar("Decoded")

_AFTER_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # inside a scan, 0xff is followed by 0 or a restart number
_RESTART = re.compile(rb"(\xff[\xd0-\xd7])")
_STANDALONE = {0x01, *range(0xD0, 0xD9)}
_APP0, _APP14, _SOS, _EOI = 0xE0, 0xEE, 0xDA, 0xD9
_SEQUENTIAL, _PROGRESSIVE = {0xC0, 0xC1, 0xC9}, {0xC2, 0xCA}
_END = b"\xff\xd9"
_KEPT_ZEROS = (0, 1)
"""Zero bytes that may belong to a scan: the data of a picture with a flat corner can end in one."""


def decoded_jpeg(data: bytes, decode: Callable[[bytes], Decoded]) -> Decoded:
    """Decode a JPEG strictly; if it is refused, decode it without its harmless faults.

    Args:
        data: The file.
        decode: Decodes a file, and raises ValueError or OSError on every warning.

    Raises:
        ValueError: If data is lost (or OSError, whichever `decode` raises).
    """
    try:
        return decode(data)
    except (ValueError, OSError) as error:
        refused: ValueError | OSError = error
    for mended in mended_jpegs(data):
        try:
            return decode(mended)
        except (ValueError, OSError) as error:
            refused = error
    raise refused


def mended_jpegs(data: bytes) -> Iterator[bytes]:
    """Return a JPEG without its harmless faults, one version for each way to read them; nothing if it has no such faults.

    These faults are repaired: a JFIF version other than 1; an Adobe transform that is not defined; spectral selection and
    approximation of sequential scans, which have none; zero bytes between segments, before restart markers and after scans;
    a missing end marker, if all scans are there.
    """
    known = {data}
    for zeros in _KEPT_ZEROS:
        mended = _mended(data, zeros)
        if mended is not None and mended not in known:
            known.add(mended)
            yield mended


def _mended(data: bytes, zeros: int) -> bytes | None:
    """Return the repaired file with up to `zeros` zero bytes after a scan; None if its segments cannot be followed."""
    out, at, frame = [data[:2]], 2, _Frame()
    while True:
        start = data.find(b"\xff", at)
        if data[at:start if start >= 0 else len(data)].strip(b"\0"):
            return None
        while 0 <= start < len(data) - 1 and data[start + 1] == 0xFF:  # fill bytes
            start += 1
        ends = not 0 <= start < len(data) - 1
        if ends or data[start + 1] == _EOI:  # a picture with a missing scan gets no end marker, so that it is refused
            return b"".join((*out, b"" if not frame.complete() else _END if ends else data[start:]))
        marker, at = data[start + 1], start + 2
        if marker in _STANDALONE:
            out.append(data[start:at])
            continue
        end = at + int.from_bytes(data[at:at + 2], "big")
        body = data[at + 2:end]
        if end > len(data):
            return b"".join(out)
        if end < at + 2 or not frame.read(marker, body):
            return None
        out.append(data[start:at + 2] + frame.mended(marker, body))
        at = end
        if marker == _SOS:
            found = _AFTER_SCAN.search(data, at)
            end = found.start() if found else len(data)
            out.append(_unpadded(data[at:end], zeros))
            at = end


def _unpadded(scan: bytes, zeros: int) -> bytes:
    """Return a scan with at most `zeros` zero bytes before restart markers and at its end."""
    parts = _RESTART.split(scan.removesuffix(b"\xff"))
    for k in range(0, len(parts), 2):
        bare = parts[k].rstrip(b"\0")
        parts[k] = parts[k][:len(bare) + zeros + bare.endswith(b"\xff")]  # a zero after 0xff belongs to it
    return b"".join(parts)


class _Frame:
    """The coefficients of a picture that its scans have given so far."""

    def __init__(self) -> None:
        self._marker = 0
        self._components: tuple[int, ...] = ()
        self._left: dict[tuple[int, int], int] = {}  # low bits still missing, by component and coefficient

    def read(self, marker: int, body: bytes) -> bool:
        """Read a segment; return False if it is not valid."""
        if marker in _SEQUENTIAL | _PROGRESSIVE:
            if self._components or len(body) < 9 or len(body) != 6 + 3 * body[5]:
                return False
            self._marker, self._components = marker, tuple(body[6::3])
        elif marker == _SOS:
            count = body[0] if body else 0
            if not self._components or not count or len(body) != 2 * count + 4:
                return False
            first, last, low = (body[-3], body[-2], body[-1] & 15) if self._marker in _PROGRESSIVE else (0, 63, 0)
            self._left |= {(name, k): low for name in body[1:-3:2] for k in range(first, min(last, 63) + 1)}
        return True

    def complete(self) -> bool:
        """Return whether every coefficient was given to its last bit."""
        return bool(self._components) and all(self._left.get((c, k)) == 0 for c in self._components for k in range(64))

    def mended(self, marker: int, body: bytes) -> bytes:
        """Return a segment with undefined values replaced."""
        if marker == _APP0 and body.startswith(b"JFIF\0") and len(body) >= 7 and body[5] != 1:
            return body[:5] + b"\1\2" + body[7:]
        if marker == _APP14 and body.startswith(b"Adobe") and len(body) >= 12 and body[11] > 2:
            return body[:11] + b"\1" + body[12:]  # YCbCr, which decoders assume here
        if marker == _SOS and self._marker in _SEQUENTIAL:
            return body[:-3] + b"\0\x3f\0"
        return body
