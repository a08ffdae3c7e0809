"""Mutations of bytes, drawn by hypothesis: what damage, lies and malice look like."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hypothesis import strategies as st

NUMBERS = tuple(n.to_bytes(width, order) for width in (1, 2, 4, 8) for order in ("big", "little")
                for n in (0, 1, 0x7F << 8 * (width - 1), 2 ** (8 * width) - 1, 2 ** (8 * width - 1), 2 ** (8 * width - 2), 255))
WORDS = (
    b"\0", b"\0" * 512, b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"-1", b"1e999", b"nan", b"-inf", b"9" * 40, b"0x" + b"f" * 5000,
    b"9" * 5000, b"../", b"/", b"\\", b"\n", b"\r", b'"', b"'", b",", b";", b"\t", b"[", b"]", b"{", b"}", b"[" * 200, b"&a ",
    b"*a", b"!!python/object/apply:os.system ", b"<<: ", b"%s", b"\xc3\x28", "\u00e9".encode(), "e\u0301".encode(),
    b"\x1b[31m", b"null", b"true")
_DIGITS = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?")

Mutation = tuple[int, int, int]
"""Kind, where, how."""


def mutations() -> st.SearchStrategy[tuple[int, list[Mutation], bool]]:
    """Which seed, what happens to it one after the other, and whether its checksums are mended afterwards."""
    number = st.integers(0, 2**32 - 1)
    return st.tuples(st.integers(0, 255), st.lists(st.tuples(st.integers(0, 11), number, number), max_size=6), st.booleans())


def mutate(seeds: Sequence[bytes], words: Sequence[bytes], which: int, steps: Sequence[Mutation]) -> bytes:
    """Apply mutations to a seed; the same arguments give the same bytes."""
    data = bytearray(seeds[which % len(seeds)])
    words = (*WORDS, *words)
    for kind, where, how in steps:
        # Half of the places lie in the first bytes, where headers are.
        at = (where >> 1) % (max(1, len(data) if where & 1 else min(len(data), 700)))
        length = 1 + how % (16 if how & 1 else max(1, len(data)))
        if kind == 0 and data:
            data[at] ^= 1 << how % 8
        elif kind == 1 and data:
            data[at] = how % 256
        elif kind == 2:
            number = NUMBERS[how % len(NUMBERS)]
            data[at:at + len(number)] = number
        elif kind == 3:
            del data[at:at + length]
        elif kind == 4:
            data[at:at] = data[at:at + length] * (1 + how % 3)
        elif kind == 5:
            del data[at:]
        elif kind in {6, 7}:
            word = words[how % len(words)]
            data[at:at + (len(word) if kind == 7 else 0)] = word
        elif kind == 8:
            other = seeds[how % len(seeds)]
            data[at:] = other[min(at, len(other)):]
        elif kind == 9:
            data += seeds[how % len(seeds)] if how & 256 else bytes(how % 2048)
        elif kind == 10:
            found = list(_DIGITS.finditer(data))[:2000]
            if found:
                match = found[where % len(found)]
                data[match.start():match.end()] = (*words, str(how).encode(), f"-{how}.5".encode())[how % (len(words) + 2)]
        elif kind == 11 and data:
            end = min(len(data), at + length)
            data[at:end] = bytes(how % 256 if how & 512 else 0 for _ in range(end - at))
        if len(data) > 1 << 20:
            del data[1 << 20:]
    return bytes(data)
