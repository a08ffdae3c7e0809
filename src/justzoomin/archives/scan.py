"""Scan a TAR shard once: find each member's content, or say why the shard cannot be trusted.

Reading TAR stays our own code, because Python's `tarfile` accepts damaged and hostile shards; `headers` has the details.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from justzoomin.archives.headers import HeaderError, read_member
from justzoomin.errors import TileError
from justzoomin.untrusted import open_regular

MAX_TABLE_BYTES = 2 << 30
"""Limit of a table of names: it is as wide as its longest name, so one long name would inflate a million others."""
_MAX_TAIL = 64 << 20


@dataclass(frozen=True)
class ShardIndex:
    """Where each member of one shard is located.

    Args:
        path: The shard.
        stamp: The shard's size in bytes and modification time in nanoseconds at the scan.
        names: Member names as UTF-8 bytes, sorted. (N,)
        offsets: Offset of the first byte of each member's content. (N,)
        sizes: Size of each member's content in bytes. (N,)
    """

    path: Path
    stamp: tuple[int, int]
    names: npt.NDArray[np.bytes_]
    offsets: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]


def open_shard(path: Path) -> int:
    """Open a shard for reading and return its descriptor; do not wait for a pipe or device of that name.

    Raises:
        TileError: If the file does not exist or is not a regular file.
    """
    try:
        with open_regular(path) as file:
            return os.dup(file.fileno())
    except OSError as error:
        raise TileError(path, f"the shard cannot be read ({error.strerror})", "Download it again.") from error


def stamp_of(descriptor: int) -> tuple[int, int]:
    """Return size in bytes and modification time in nanoseconds of an open shard."""
    status = os.fstat(descriptor)
    return status.st_size, status.st_mtime_ns


def scan(path: Path) -> ShardIndex:
    """Read a shard's headers once, skipping its contents.

    Raises:
        TileError: If it is not an uncompressed TAR, is truncated, has something after its end mark, or holds a link, a special
            file, a path that leads out of it, or names that are equal or differ by case or Unicode form alone.
    """
    descriptor = open_shard(path)
    try:
        stamp = stamp_of(descriptor)
        found = _members(path, descriptor, stamp[0])
        if stamp_of(descriptor) != stamp:
            raise TileError(path, "the shard changed while it was read", "Wait until the download has ended.")
    except OSError as error:
        raise TileError(path, f"the shard cannot be read ({error.strerror})", "Check the disk.") from error
    finally:
        os.close(descriptor)
    if found and len(found) * max(map(len, found)) > MAX_TABLE_BYTES:
        longest = max(found, key=len)
        raise TileError(f"{path}!{longest.decode()!r}",
                        f"a name of {len(longest)} bytes is too long for a shard of {len(found)} members",
                        "Use shorter names or smaller shards.")
    names = sorted(found)
    table = np.array([found[name] for name in names], np.int64).reshape(-1, 2)
    array = np.array(names, np.bytes_)
    refuse_twins([path], array, np.zeros(len(names), np.int32))
    return ShardIndex(path, stamp, array, table[:, 0].copy(), table[:, 1].copy())


def _members(path: Path, descriptor: int, end: int) -> dict[bytes, tuple[int, int]]:
    """Return offset and size of every member by name."""
    def read(offset: int, count: int) -> bytes:
        return os.pread(descriptor, count, offset)

    found: dict[bytes, tuple[int, int]] = {}
    at = 0
    try:
        while (member := read_member(read, at, end)) is not None:
            at = member.next
            if member.is_folder:
                continue
            if member.name in found:
                raise HeaderError(member.name, "the shard contains this name twice")
            found[member.name] = (member.offset, member.size)
    except HeaderError as error:
        name = error.name[:200].decode("utf-8", "backslashreplace")
        raise TileError(f"{path}!{name!r}" if error.name else path, error.what, error.remedy) from error
    _refuse_tail(path, descriptor, at, end)
    return found


def _refuse_tail(path: Path, descriptor: int, at: int, end: int) -> None:
    """Require zeros after the end mark: members of an archive appended to another one would never be seen."""
    if end - at > _MAX_TAIL:
        raise TileError(path, f"the shard has {end - at} bytes after its end mark", "Build the shard again.")
    while at < end:
        part = os.pread(descriptor, min(1 << 20, end - at), at)
        if not part or part.count(0) != len(part):
            raise TileError(path, f"the shard has content after its end mark, from byte {at} on",
                            "Build one shard from the archives that were joined here.")
        at += len(part)


def refuse_twins(paths: Sequence[Path], names: npt.NDArray[np.bytes_], shard: npt.NDArray[np.int32]) -> None:
    """Raise an error if names differ by case or Unicode form alone: on many file systems they are the same file.

    Args:
        paths: The shards.
        names: All names. (N,)
        shard: Index of the shard that holds each name. (N,)

    Raises:
        TileError: Naming the first two.
    """
    raw = names.view(np.uint8) if len(names) else np.zeros(0, np.uint8)
    if not ((raw > 0x7F) | ((raw >= 0x41) & (raw <= 0x5A))).any():  # the published dataset: no name changes by folding
        return
    seen: dict[str, int] = {}
    for number, name in enumerate(names.tolist()):
        folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name.decode()).casefold())
        first = seen.setdefault(folded, number)
        if first != number:
            other = f"{paths[int(shard[first])]}!{names[first].decode()!r}"
            raise TileError(f"{paths[int(shard[number])]}!{name.decode()!r}",
                            f"the name differs from {other} by case or Unicode form alone", "Rename one of the two.")
