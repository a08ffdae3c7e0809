"""Read the headers of TAR members (POSIX.1-1988 ustar, POSIX.1-2001 pax, GNU long names) strictly.

Reading TAR stays our own code, because shards come from anywhere. Python's `tarfile` tries to get something out of any archive:
it ends silently at a damaged header or a missing end, reads headers of any size into memory, and takes numbers and names that
other tools read otherwise. A shard is read in place for years, so here everything that is not plain is an error that names the
member.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

BLOCK = 512
MAX_NAME_BYTES = 512
MAX_EXTRA_BYTES = 65_536
"""Maximum size of a pax header or GNU long name."""
_ZEROS = bytes(BLOCK)
_OCTAL = re.compile(rb" *([0-7]*)[ \0]*")
_OTHER_NUMBERS = ((100, 108), (108, 116), (116, 124), (136, 148), (329, 337), (337, 345))
"""Mode, owner, group, time and device: not used here, but tools that cannot read them report a broken archive."""
_USUAL_NUMBERS = re.compile(rb"(?:[0-7]{7}\0|[0-7]{6} \0){3}[0-7]{11}[ \0][0-7]{11}[ \0]")
_USUAL_DEVICE = re.compile(rb"\0{16}|(?:[0-7]{7}\0|[0-7]{6} \0){2}")
_PLAIN_TYPES = frozenset(b"0\0")
_ODD_NAME = re.compile(rb"(?:\A|[\0/])\.{0,2}(?:[/\0]|\Z)|[\x01-\x1f\x7f\\]")
_KINDS = {b"1": "a hard link", b"2": "a symbolic link", b"3": "a device", b"4": "a device", b"6": "a pipe",
          b"K": "a link", b"S": "a sparse file", b"M": "a part of a file in several volumes", b"V": "a volume's label"}

Read = Callable[[int, int], bytes]
"""Reads from the shard: takes offset and count, returns the bytes found there."""


class HeaderError(Exception):
    """An untrustworthy member: its name, as far as it is known, what is wrong and what to do."""

    def __init__(self, name: bytes, what: str, remedy: str = "Build the shard again.") -> None:
        super().__init__(name, what, remedy)
        self.name, self.what, self.remedy = name, what, remedy


@dataclass(frozen=True)
class Member:
    """One member.

    Args:
        name: Its path, UTF-8, without a leading `./`.
        offset: Offset of the first byte of its content.
        size: Size of its content in bytes.
        is_folder: Whether it is a folder, which has no content.
        next: Offset of the next header.
    """

    name: bytes
    offset: int
    size: int
    is_folder: bool
    next: int


def odd_names(joined: bytes) -> bool:
    """Return whether any of several names, separated by zero bytes, is unsafe.

    Unsafe names are empty or absolute, climb, or contain doubled slashes, backslashes or control characters.
    """
    return _ODD_NAME.search(joined) is not None


def read_member(read: Read, at: int, end: int) -> Member | None:
    """Return the member whose headers begin at `at`, or None if the archive's end mark is there.

    Args:
        read: The shard.
        at: Offset of the first header block.
        end: Size of the shard in bytes.

    Raises:
        HeaderError: If the member is not a plain file or folder inside the archive, its size is wrong, or the shard is cut off.
    """
    extra: dict[bytes, bytes] = {}
    while True:
        block = read(at, BLOCK)
        name = _text(block[:100])
        if len(block) < BLOCK:
            if not at and block:
                raise HeaderError(b"", "the file is not an uncompressed TAR", "Download the shard again.")
            raise HeaderError(b"", "the shard has no end mark: it is cut off", "Download it again.")
        if block == _ZEROS:
            if extra:
                raise HeaderError(b"", "a header announces a member that is missing")
            return None
        if not _checksum_fits(block):
            raise HeaderError(name if at else b"", "the header here is not that of an uncompressed TAR" if at
                              else "the file is not an uncompressed TAR", "Download the shard again.")
        if not (_USUAL_NUMBERS.match(block, 100) and _USUAL_DEVICE.match(block, 329)) \
                and not all(_is_number(block[start:stop]) for start, stop in _OTHER_NUMBERS):
            raise HeaderError(name, "its header has other characters where numbers belong")
        kind, size = block[156:157], _number(block[124:136], name, "size")
        if kind not in {b"x", b"g", b"L"}:
            return _member(block, extra, at + BLOCK, end)
        _check_extra(kind, size, extra, name)
        content = read(at + BLOCK, size)
        if len(content) < size:
            raise HeaderError(name, "the shard ends within this header", "Download it again.")
        if kind == b"L":
            if b"path" in extra:
                raise HeaderError(name, "two headers give a name to one member")
            extra[b"path"] = content.rstrip(b"\0")
        else:
            _take_pax(content, extra, is_global=kind == b"g", name=name)
        extra[kind] = b""
        at += BLOCK + _padded(size)


def _member(block: bytes, extra: dict[bytes, bytes], start: int, end: int) -> Member:
    name, kind = _text(block[:100]), block[156:157]
    if block[257:265] == b"ustar\x0000" and block[345]:
        name = _text(block[345:500]) + b"/" + name
    name = extra.get(b"path", name)
    size = _number(block[124:136], name, "size")
    if b"size" in extra:
        size = _decimal(extra[b"size"], name)
    is_folder = kind == b"5" or (kind == b"\0" and name.endswith(b"/"))
    if not is_folder and kind[0] not in _PLAIN_TYPES:
        what = _KINDS.get(kind, f"an entry of the unknown kind {kind!r}")
        raise HeaderError(name, f"the member is {what}: a link or a special file", "Shards hold plain files only.")
    if is_folder and size:
        raise HeaderError(name, f"the member is a folder, but its header claims {size} bytes of content")
    plain = _plain_name(name, is_folder)
    if start + size > end:
        raise HeaderError(name, f"the shard ends within this member, which claims {size} bytes", "Download it again.")
    return Member(plain, start, size, is_folder, start + _padded(size))


def _plain_name(raw: bytes, is_folder: bool) -> bytes:
    """Return a member's name without leading `./`, and a folder's without its last slash."""
    name = raw[2:] if raw.startswith(b"./") else raw
    if is_folder:
        name = name.rstrip(b"/")
        if name in {b"", b"."} and raw.startswith(b"."):
            return b"."
    if len(name) > MAX_NAME_BYTES:
        raise HeaderError(raw, f"the member's path has {len(name)} bytes", f"The limit is {MAX_NAME_BYTES} bytes.")
    if b"\0" in name or odd_names(name):
        raise HeaderError(raw, "the member's path is absolute, leads out of the archive or has unusual characters")
    try:
        name.decode("utf-8")
    except UnicodeDecodeError as error:
        raise HeaderError(raw, "the member's path is not valid UTF-8") from error
    return name


def _check_extra(kind: bytes, size: int, extra: dict[bytes, bytes], name: bytes) -> None:
    if size > MAX_EXTRA_BYTES:
        raise HeaderError(name, f"the member has an extra header of {size} bytes",
                          f"The limit is {MAX_EXTRA_BYTES} bytes.")
    if kind in extra:
        raise HeaderError(name, "one member has two extra headers of one kind")


def _take_pax(content: bytes, extra: dict[bytes, bytes], *, is_global: bool, name: bytes) -> None:
    """Take path and size from a pax header of `<length> <key>=<value>` records; times and owners are ignored."""
    at = 0
    while at < len(content):
        space = content.find(b" ", at, at + 8)
        length = content[at:space] if space > at else b""
        stop = at + int(length) if length.isdigit() else 0
        key, sign, value = content[space + 1:stop - 1].partition(b"=")
        if stop > len(content) or stop <= space + 1 or content[stop - 1:stop] != b"\n" or not sign or not key:
            if not content[at:].strip(b"\0"):
                return
            raise HeaderError(name, "its pax header is broken: a record's length is wrong")
        if key.startswith(b"GNU.sparse"):
            raise HeaderError(name, "the member is a sparse file: a link or a special file", "Shards hold plain files only.")
        if key in {b"path", b"size"}:
            if is_global:
                raise HeaderError(name, f"a pax header gives all members the same {key.decode()}")
            if key in extra:
                raise HeaderError(name, f"two headers give the {key.decode()} of one member")
            extra[key] = value
        at = stop


def _checksum_fits(block: bytes) -> bool:
    """Check the sum of all bytes, with the sum itself counted as spaces; old tools added up signed bytes."""
    stated = _OCTAL.fullmatch(block[148:156])
    if stated is None or not stated[1]:
        return False
    wanted, plain = int(stated[1], 8), sum(block) - sum(block[148:156]) + 8 * 32
    return wanted == plain or wanted == plain - 256 * sum(byte > 127 for byte in block[:148] + block[156:])


def _number(field: bytes, name: bytes, what: str) -> int:
    """Return a number written in octal digits, or in base 256 if its first bit is set."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    octal = _OCTAL.fullmatch(field)
    if octal is None:
        raise HeaderError(name, f"the member's {what} is negative or not a number")
    return int(octal[1] or b"0", 8)


def _is_number(field: bytes) -> bool:
    return field[0] in {0x80, 0xFF} or not _text(field).strip().strip(b"01234567")


def _decimal(value: bytes, name: bytes) -> int:
    if not value.isdigit() or len(value) > 20:
        raise HeaderError(name, "the member's size in its pax header is not a number")
    return int(value)


def _text(field: bytes) -> bytes:
    return field.split(b"\0", 1)[0]


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK
