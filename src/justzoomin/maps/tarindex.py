"""The byte-offset index of one TAR shard: built by one scan, kept on disk, rebuilt when the shard changed.

An index file is an uncompressed `.npz` (no pickles) with four arrays: `head` (JSON: format version,
shard name, its size and modification time), `names` (zero-separated UTF-8), `offsets` and `sizes`.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import json
import logging
import os
import stat
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from justzoomin.errors import TileError
from justzoomin.files import write_bytes

INDEX_FOLDER = ".jzi-index"
_VERSION = 1
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ShardIndex:
    """Where each member of one shard lies in it.

    Args:
        path: The shard.
        stamp: The shard's size in bytes and modification time in nanoseconds when it was scanned.
        names: Member names as UTF-8 bytes, sorted. (N,)
        offsets: First byte of each member's content. (N,)
        sizes: Bytes of each member's content. (N,)
    """

    path: Path
    stamp: tuple[int, int]
    names: npt.NDArray[np.bytes_]
    offsets: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]


def shard_stamp(path: Path) -> tuple[int, int]:
    """Size in bytes and modification time in nanoseconds of a shard.

    Raises:
        TileError: If there is no such file.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise TileError(path, f"the shard cannot be read ({error.strerror})", "Download it again.") from error
    return status.st_size, status.st_mtime_ns


def open_index(path: Path, cache_dir: Path | None = None) -> ShardIndex:
    """The index of a shard: read where a fresh one is kept, else built by a scan and kept.

    It is kept in `.jzi-index/` beside the shard, or, where that cannot be written, under
    `$JZI_HOME` or `~/.cache/justzoomin`; `cache_dir` names one folder instead of both. Where no
    place can be written the index lives in memory only, and a warning is logged.

    Raises:
        TileError: If the shard is missing, no uncompressed TAR, truncated, or holds members that cannot be trusted.
    """
    stamp = shard_stamp(path)
    places = _places(path, cache_dir)
    for place in places:
        index = _load(place, path, stamp)
        if index is not None:
            return index
    index = scan(path)
    for place in places:
        try:
            _save(index, place)
        except OSError:
            continue
        return index
    _log.warning("No place to keep the index of %s (tried %s): it will be built again next time.",
                 path, ", ".join(str(p.parent) for p in places))
    return index


def scan(path: Path) -> ShardIndex:
    """Read a shard's headers once; its contents are skipped.

    Raises:
        TileError: If it is no uncompressed TAR, is truncated, or holds a link, a special file, a doubled
            name or a path that leads out of it.
    """
    stamp = shard_stamp(path)
    found: dict[str, tuple[int, int]] = {}
    try:
        with tarfile.open(path, "r:", errors="strict") as archive:
            for member in archive:
                if member.isdir():
                    continue
                name = _clean_name(path, member)
                if name in found:
                    raise TileError(f"{path}!{name}", "the shard holds this name twice", "Build the shard again.")
                if member.offset_data + member.size > stamp[0]:
                    raise TileError(f"{path}!{name}", "the shard ends within this member", "Download it again.")
                found[name] = (member.offset_data, member.size)
                archive.members = []  # type: ignore[attr-defined]  # tarfile would keep every header
    except (tarfile.TarError, UnicodeError, OSError, ValueError) as error:
        raise TileError(path, f"it is no whole, uncompressed TAR ({error})", "Download the shard again.") from error
    if shard_stamp(path) != stamp:
        raise TileError(path, "it changed while it was being read", "Wait until the download has ended.")
    names = sorted(found, key=str.encode)
    table = np.array([found[name] for name in names], np.int64).reshape(-1, 2)
    return ShardIndex(path, stamp, np.array([n.encode() for n in names], np.bytes_), table[:, 0].copy(),
                      table[:, 1].copy())


def _clean_name(path: Path, member: tarfile.TarInfo) -> str:
    """A member's name without leading `./`; refuse what is no plain file inside the archive."""
    raw = member.name
    name = raw.removeprefix("./")
    where = f"{path}!{raw[:200]!r}"
    if not member.isreg() or member.issparse():
        raise TileError(where, "the member is a link or a special file", "Shards hold plain files only.")
    if not name or name.startswith("/") or ".." in PurePosixPath(name).parts or "\0" in name or "\\" in name:
        raise TileError(where, "the member's path is absolute or leads out of the archive", "Build the shard again.")
    return name


def _places(path: Path, cache_dir: Path | None) -> list[Path]:
    """Where a shard's index may be kept, best first."""
    tag = hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:16]
    if cache_dir is not None:
        return [Path(cache_dir) / f"{path.name}.{tag}.npz"]
    home = os.environ.get("JZI_HOME")
    places = [path.parent / INDEX_FOLDER / f"{path.name}.npz"]
    with contextlib.suppress(RuntimeError):  # no home folder
        base = Path(home) if home else Path.home() / ".cache" / "justzoomin"
        places.append(base / "index" / f"{path.name}.{tag}.npz")
    return places


def _head(path: Path, stamp: tuple[int, int]) -> bytes:
    return json.dumps({"version": _VERSION, "shard": path.name, "size": stamp[0], "mtime_ns": stamp[1]}).encode()


def _load(place: Path, path: Path, stamp: tuple[int, int]) -> ShardIndex | None:
    """A kept index, or None where there is none that is whole and fits the shard as it is now."""
    try:
        with np.load(place, allow_pickle=False) as kept:
            if kept["head"].tobytes() != _head(path, stamp):
                return None
            names = kept["names"].tobytes().split(b"\0") if kept["names"].size else []
            offsets, sizes = kept["offsets"], kept["sizes"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    whole = (offsets.dtype == sizes.dtype == np.int64 and offsets.shape == sizes.shape == (len(names),)
             and all(a < b for a, b in itertools.pairwise(names)))
    if not whole or (len(names) and (min(offsets.min(), sizes.min()) < 0 or (offsets + sizes).max() > stamp[0])):
        return None
    return ShardIndex(path, stamp, np.array(names, np.bytes_), offsets, sizes)


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
