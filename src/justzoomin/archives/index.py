"""The byte-offset index of one TAR shard: made by one scan, stored on disk, made again after the shard changed.

An index file is an uncompressed `.npz` (no pickles) with four arrays: `head` (JSON: format version, shard name, its size and
modification time), `names` (zero-separated UTF-8), `offsets` and `sizes`. It may come from any source, like the shard: its
content is checked against the shard's size, and an index that fails the check is made again.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import json
import logging
import os
import re
import stat
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from justzoomin.archives.headers import BLOCK, MAX_NAME_BYTES, odd_names
from justzoomin.archives.scan import MAX_TABLE_BYTES, ShardIndex, open_shard, refuse_twins, scan, stamp_of
from justzoomin.errors import DataError, TileError
from justzoomin.files import cache_home, refuse_links, write_bytes

INDEX_FOLDER = ".jzi-index"
_VERSION = 2
_ARRAYS = ("head", "names", "offsets", "sizes")
_NPY_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00(..)\{'descr': '(\|u1|<i8)', 'fortran_order': False, 'shape': \(([0-9]{1,15}),\), \} *\n", re.DOTALL)
"""The header that numpy writes for such arrays (NEP 1); numpy's own reader accepts more, and parses it as Python."""
_log = logging.getLogger(__name__)


def open_index(path: Path, cache_dir: Path | None = None) -> ShardIndex:
    """Return the index of a shard: read a stored index if it is up to date, else scan the shard and store the index.

    It is stored in `.jzi-index/` beside the shard or, if that cannot be written, under `$JZI_HOME` or `~/.cache/justzoomin`;
    `cache_dir` gives one folder instead of both. If no place can be written, the index stays in memory and a warning is logged.

    Raises:
        TileError: If the shard is missing, not an uncompressed TAR, truncated, or has untrustworthy members.
    """
    descriptor = open_shard(path)
    try:
        stamp = stamp_of(descriptor)
    finally:
        os.close(descriptor)
    places = _places(path, cache_dir)
    for place in places:
        index = _load(place, path, stamp)
        if index is not None:
            return index
    index = scan(path)
    _keep(index, places)
    return index


def check_shard(path: Path, cache_dir: Path | None = None) -> ShardIndex:
    """Scan a shard and compare the stored index with the scan; if there is none, store this one.

    Raises:
        TileError: As `scan` does, or if the stored index has the shard's size and time but different content.
    """
    index, places = scan(path), _places(path, cache_dir)
    kept_there = [(place, _load(place, path, index.stamp)) for place in places]
    for place, kept in kept_there:
        if kept is not None and not all(np.array_equal(getattr(kept, key), getattr(index, key))
                                        for key in ("names", "offsets", "sizes")):
            raise TileError(place, f"the index disagrees with {path.name} about names or offsets", "Delete the index.")
    if all(kept is None for _, kept in kept_there):
        _keep(index, places)
    return index


def _places(path: Path, cache_dir: Path | None) -> list[Path]:
    """Return where a shard's index may be stored, best place first."""
    tag = hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:16]
    if cache_dir is not None:
        return [Path(cache_dir) / f"{path.name}.{tag}.npz"]
    places = [path.parent / INDEX_FOLDER / f"{path.name}.npz"]
    with contextlib.suppress(RuntimeError):  # there may be no home folder
        places.append(cache_home() / "index" / f"{path.name}.{tag}.npz")
    return places


def _head(path: Path, stamp: tuple[int, int]) -> bytes:
    return json.dumps({"version": _VERSION, "shard": path.name, "size": stamp[0], "mtime_ns": stamp[1]}).encode()


def _load(place: Path, path: Path, stamp: tuple[int, int]) -> ShardIndex | None:
    """Return a stored index, or None if there is none that is intact and fits the shard as it is now."""
    try:
        arrays = _read_arrays(place, stamp[0])
    except (OSError, ValueError, KeyError, EOFError, NotImplementedError, RuntimeError, MemoryError, OverflowError,
            struct.error, zipfile.BadZipFile):  # raised by zipfile for broken files
        return None
    head, joined, offsets, sizes = arrays
    if head.tobytes() != _head(path, stamp) or offsets.dtype != np.int64 or sizes.dtype != np.int64:
        return None
    names = joined.tobytes().split(b"\0") if joined.size else []
    if not len(names) == len(offsets) == len(sizes):
        return None
    if names and not _is_sound(names, joined.tobytes(), offsets, sizes, stamp[0]):
        return None
    array = np.array(names, np.bytes_)
    try:
        refuse_twins([path], array, np.zeros(len(names), np.int32))
    except (TileError, UnicodeDecodeError):
        return None
    return ShardIndex(path, stamp, array, offsets, sizes)


def _read_arrays(place: Path, shard_bytes: int) -> list[npt.NDArray[Any]]:
    """Return the one-dimensional arrays of an index file, none larger than the file itself says.

    Raises:
        ValueError: If it is not an index file.
    """
    with place.open("rb") as file, zipfile.ZipFile(file) as kept:
        entries = kept.infolist()
        length = os.fstat(file.fileno()).st_size
        stored = all(e.compress_type == zipfile.ZIP_STORED and e.file_size == e.compress_size <= length for e in entries)
        # A member has a header of 512 bytes in the shard and takes less than that here.
        if sorted(e.filename for e in entries) != sorted(f"{n}.npy" for n in _ARRAYS) or not stored \
                or length > 2 * shard_bytes + 65_536:
            raise ValueError("not an index file")
        return [_plain_array(kept.read(f"{name}.npy")) for name in _ARRAYS]


def _plain_array(content: bytes) -> npt.NDArray[Any]:
    """Return a one-dimensional array of bytes or integers, whose header must match its content exactly."""
    header = _NPY_HEADER.match(content)
    if header is None:
        raise ValueError("not an array of an index")
    kind = np.dtype(np.uint8 if header[2] == b"|u1" else np.int64)
    size = int(header[3]) * kind.itemsize
    if header.end() != 10 + int.from_bytes(header[1], "little") or len(content) - header.end() != size:
        raise ValueError("the array does not have its stated size")
    return np.frombuffer(content, kind, offset=header.end())


def _is_sound(names: list[bytes], joined: bytes, offsets: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64],
              end: int) -> bool:
    """Return whether an index may belong to a shard of `end` bytes: sorted plain names, contents that do not overlap."""
    longest = max(map(len, names))
    if longest > MAX_NAME_BYTES or longest * len(names) > MAX_TABLE_BYTES or odd_names(joined) \
            or any(a >= b for a, b in itertools.pairwise(names)):
        return False
    if offsets.min() < BLOCK or (offsets % BLOCK).any() or sizes.min() < 0 or max(offsets.max(), sizes.max()) > end:
        return False
    order = np.argsort(offsets, kind="stable")
    ends = offsets[order] + sizes[order]
    return bool(ends[-1] <= end and (ends[:-1] + BLOCK <= offsets[order][1:]).all())


def _keep(index: ShardIndex, places: list[Path]) -> None:
    """Write an index to the first place that can be written; if there is none, it is made again next time."""
    for place in places:
        try:
            _save(index, refuse_links(place.parent.parent.parent if place.parent.name == INDEX_FOLDER else place.parent, place))
        except (OSError, DataError):  # DataError: a link where a folder of the shard should be
            continue
        return
    _log.warning("The index of %s cannot be stored (tried %s): it will be made again next time.",
                 index.path, ", ".join(str(p.parent) for p in places))


def _make_folder(folder: Path) -> None:
    """Make a folder for indexes, unless the folder above it is marked read-only.

    The mark counts for root too, who could write anyway: a data set marked read-only stays unchanged.

    Raises:
        OSError: If the folder above is marked read-only, or the folder cannot be made.
    """
    nearest = next(place for place in (folder, *folder.parents) if place.exists())
    if not stat.S_IMODE(nearest.stat().st_mode) & 0o222:
        raise PermissionError(f"{nearest} is marked read-only")
    folder.mkdir(parents=True, exist_ok=True)


def _save(index: ShardIndex, place: Path) -> None:
    """Write an index file atomically.

    Raises:
        OSError: If the place cannot be written.
    """
    _make_folder(place.parent)
    buffer = io.BytesIO()
    np.savez(buffer, head=np.frombuffer(_head(index.path, index.stamp), np.uint8),
             names=np.frombuffer(b"\0".join(index.names.tolist()), np.uint8), offsets=index.offsets, sizes=index.sizes)
    write_bytes(place, buffer.getvalue())
