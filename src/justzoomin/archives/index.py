"""The byte-offset index of one TAR shard: built by one scan, kept on disk, rebuilt when the shard changed.

An index file is an uncompressed `.npz` (no pickles) with four arrays: `head` (JSON: format version,
shard name, its size and modification time), `names` (zero-separated UTF-8), `offsets` and `sizes`. It may come from
anywhere, as the shard does: what it says is checked against the shard's size, and one that does not hold is built again.
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
"""What numpy writes over such arrays (NEP 1); its own reader takes more, and parses it as Python."""
_log = logging.getLogger(__name__)


def open_index(path: Path, cache_dir: Path | None = None) -> ShardIndex:
    """The index of a shard: read where a fresh one is kept, else built by a scan and kept.

    It is kept in `.jzi-index/` beside the shard, or, where that cannot be written, under
    `$JZI_HOME` or `~/.cache/justzoomin`; `cache_dir` names one folder instead of both. Where no
    place can be written the index lives in memory only, and a warning is logged.

    Raises:
        TileError: If the shard is missing, no uncompressed TAR, truncated, or holds members that cannot be trusted.
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
    """Scan a shard, whatever index is kept of it, and compare that with the scan; where none is kept, keep this one.

    Raises:
        TileError: As `scan` does, or if the kept index fits the shard's size and time and says something else.
    """
    index, places = scan(path), _places(path, cache_dir)
    kept_there = [(place, _load(place, path, index.stamp)) for place in places]
    for place, kept in kept_there:
        if kept is not None and not all(np.array_equal(getattr(kept, key), getattr(index, key))
                                        for key in ("names", "offsets", "sizes")):
            raise TileError(place, f"the index of {path.name} says other names or places than the shard", "Delete the index.")
    if all(kept is None for _, kept in kept_there):
        _keep(index, places)
    return index


def _places(path: Path, cache_dir: Path | None) -> list[Path]:
    """Where a shard's index may be kept, best first."""
    tag = hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:16]
    if cache_dir is not None:
        return [Path(cache_dir) / f"{path.name}.{tag}.npz"]
    places = [path.parent / INDEX_FOLDER / f"{path.name}.npz"]
    with contextlib.suppress(RuntimeError):  # no home folder
        places.append(cache_home() / "index" / f"{path.name}.{tag}.npz")
    return places


def _head(path: Path, stamp: tuple[int, int]) -> bytes:
    return json.dumps({"version": _VERSION, "shard": path.name, "size": stamp[0], "mtime_ns": stamp[1]}).encode()


def _load(place: Path, path: Path, stamp: tuple[int, int]) -> ShardIndex | None:
    """A kept index, or None where there is none that is whole and fits the shard as it is now."""
    try:
        arrays = _read_arrays(place, stamp[0])
    except (OSError, ValueError, KeyError, EOFError, NotImplementedError, RuntimeError, MemoryError, OverflowError,
            struct.error, zipfile.BadZipFile):  # what zipfile raises over broken files
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
    """The one-dimensional arrays of an index file, none larger than the file says it is.

    Raises:
        ValueError: If it is not such a file.
    """
    with place.open("rb") as file, zipfile.ZipFile(file) as kept:
        entries = kept.infolist()
        length = os.fstat(file.fileno()).st_size
        stored = all(e.compress_type == zipfile.ZIP_STORED and e.file_size == e.compress_size <= length for e in entries)
        # A member takes a header of 512 bytes in the shard and less than that here.
        if sorted(e.filename for e in entries) != sorted(f"{n}.npy" for n in _ARRAYS) or not stored \
                or length > 2 * shard_bytes + 65_536:
            raise ValueError("no index file")
        return [_plain_array(kept.read(f"{name}.npy")) for name in _ARRAYS]


def _plain_array(content: bytes) -> npt.NDArray[Any]:
    """A one-dimensional array of bytes or whole numbers, whose header says exactly what is there."""
    header = _NPY_HEADER.match(content)
    if header is None:
        raise ValueError("no array that an index holds")
    kind = np.dtype(np.uint8 if header[2] == b"|u1" else np.int64)
    size = int(header[3]) * kind.itemsize
    if header.end() != 10 + int.from_bytes(header[1], "little") or len(content) - header.end() != size:
        raise ValueError("not the size that it says")
    return np.frombuffer(content, kind, offset=header.end())


def _is_sound(names: list[bytes], joined: bytes, offsets: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64],
              end: int) -> bool:
    """Whether an index could be that of a shard of `end` bytes: sorted plain names, contents apart from each other."""
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
    """Write an index to the first place that can be written; where none can, it is built again next time."""
    for place in places:
        try:
            _save(index, refuse_links(place.parent.parent.parent if place.parent.name == INDEX_FOLDER else place.parent, place))
        except (OSError, DataError):  # DataError: a link in the place of the folders that the shard came with
            continue
        return
    _log.warning("No place to keep the index of %s (tried %s): it will be built again next time.",
                 index.path, ", ".join(str(p.parent) for p in places))


def _make_folder(folder: Path) -> None:
    """Make a folder for indexes, unless the folder above it is marked read-only.

    The marks count for root too, who could write anyway: a data set marked read-only stays as it is.

    Raises:
        OSError: If it is marked so, or cannot be made.
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
