"""Scans of a progressive JPEG: those that a smaller picture does not need are left out before it is decoded.

A progressive JPEG holds the picture several times, each scan more precise than the previous one. Most of the time of decoding
goes into the last scans. They hold the low bits of the coefficients, which are hardly visible in a picture of half the size.
Source of the format: ITU-T T.81, annexes B and G.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

_AFTER_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # inside a scan, 0 or a restart number follows 0xff
_STANDALONE = {0x01, *range(0xD0, 0xD8)}
_PROGRESSIVE, _SCAN, _END = 0xC2, 0xDA, 0xD9
_OTHER_FRAMES = {0xC0, 0xC1, 0xC3, *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)}
_MOST_SCANS = 64
"""Files with more scans are left unchanged; usual files have ten."""


@dataclass(frozen=True)
class _Scan:
    """Byte range of a scan with its header, and whether it refines coefficients other than the mean of a block."""

    start: int
    stop: int
    fine: bool


def reduced_jpeg(data: bytes) -> bytes:
    """Return a progressive JPEG without the scans that only refine earlier ones; any other file unchanged.

    The low bits of all coefficients except the blocks' means are lost. Use it for photos that will be shown at half their
    size or less. A file without the end marker of a JPEG is returned unchanged, so the decoder still finds that it is cut off.
    """
    kept, at = [], 0
    for scan in _scans(data):
        if scan.fine:
            kept.append(data[at:scan.start])  # tables between scans are kept, because a later scan may use them
            at = scan.stop
    return b"".join((*kept, data[at:])) if kept else data


def _scans(data: bytes) -> list[_Scan]:
    """Return the scans of a progressive JPEG, in order; empty for any other file, or one without its end marker."""
    found: list[_Scan] = []
    at, progressive = 2, False
    try:
        while len(found) <= _MOST_SCANS:
            marker = data[at + 1]
            if data[at] != 0xFF:
                return []
            if marker == _END:
                return found if progressive else []
            if marker in _STANDALONE or marker == 0xFF:
                at += 1 if marker == 0xFF else 2
                continue
            size = struct.unpack_from(">H", data, at + 2)[0]
            if marker in _OTHER_FRAMES:
                return []
            progressive = progressive or marker == _PROGRESSIVE
            after = at + 2 + size
            if marker == _SCAN:
                end = _AFTER_SCAN.search(data, after)
                if end is None:
                    return []
                first, _, approximation = data[after - 3:after]
                found.append(_Scan(at, end.start(), first > 0 and approximation >> 4 > 0))
                after = end.start()
            at = after
    except (IndexError, struct.error, ValueError):
        pass
    return []
