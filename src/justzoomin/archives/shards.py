"""Read members of TAR shards in place: by name, from any thread, process or DataLoader worker."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from justzoomin.archives.index import open_index
from justzoomin.archives.scan import MAX_TABLE_BYTES, ShardIndex, open_shard, refuse_twins, stamp_of
from justzoomin.errors import TileError

_MAX_MEMBER_BYTES = 1 << 30


class TarShards:
    """One name space over several TAR shards, without extracting them.

    Contents are read with positioned reads from file descriptors that stay open, so threads and forked workers do not
    disturb each other; pickled copies open their own descriptors. Every read checks that the shard is still the indexed
    file. If a shard is replaced by another file, readers that already opened the old file continue to read it, and all
    others find the change at their first read.

    Args:
        paths: The shards, in any order. Their indexes are read or made at once (see `archives.index.open_index`).
        cache_dir: A folder for the indexes instead of `.jzi-index/` beside the shards.

    Raises:
        TileError: If a shard is missing or broken, or two shards contain the same name.
    """

    def __init__(self, paths: Iterable[Path | str], cache_dir: Path | str | None = None) -> None:
        self._paths = sorted({Path(p) for p in paths})
        indexes = [open_index(path, Path(cache_dir) if cache_dir is not None else None) for path in self._paths]
        self._stamps = [index.stamp for index in indexes]
        self._merge(indexes)
        self._files: dict[int, int] = {}
        self._size_of: dict[str, int] | None = None
        self._lock = threading.Lock()

    def _merge(self, indexes: list[ShardIndex]) -> None:
        width = max((i.names.dtype.itemsize for i in indexes), default=1)
        if width * sum(len(i.names) for i in indexes) > MAX_TABLE_BYTES:
            widest = max(indexes, key=lambda i: i.names.dtype.itemsize)
            raise TileError(widest.path, f"the shard contains a name of {width} bytes, too long for so many members",
                            "Use shorter names or smaller shards.")
        names = np.concatenate([i.names for i in indexes]) if indexes else np.zeros(0, "S1")
        order = np.argsort(names, kind="stable")
        self._names: npt.NDArray[np.bytes_] = names[order]
        self._shard = np.concatenate([np.full(len(ix.names), n, np.int32) for n, ix in enumerate(indexes)]
                                     or [np.zeros(0, np.int32)])[order]
        self._offsets = np.concatenate([i.offsets for i in indexes] or [np.zeros(0, np.int64)])[order]
        self._sizes = np.concatenate([i.sizes for i in indexes] or [np.zeros(0, np.int64)])[order]
        twins = np.flatnonzero(self._names[1:] == self._names[:-1])
        if len(twins):
            first = int(twins[0])
            both = [str(self._paths[int(self._shard[i])]) for i in (first, first + 1)]
            raise TileError(f"{both[0]}!{self._names[first].decode()}", f"{both[1]} contains the same name",
                            "Remove the shard that does not belong here.")
        if len(indexes) > 1:
            refuse_twins(self._paths, self._names, self._shard)

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        del state["_lock"]
        state["_files"], state["_size_of"] = {}, None
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._find(name) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    @property
    def paths(self) -> tuple[Path, ...]:
        """The shards, sorted by path."""
        return tuple(self._paths)

    def names(self) -> list[str]:
        """Return all member names, sorted."""
        return [name.decode() for name in self._names.tolist()]

    @property
    def sizes(self) -> dict[str, int]:
        """Size of each member in bytes, by name."""
        if self._size_of is None:
            self._size_of = dict(zip(self.names(), self._sizes.tolist(), strict=True))
        return self._size_of

    def size_array(self) -> npt.NDArray[np.int64]:
        """Return the size of each member in bytes, (N,), in the order of `names()`."""
        return self._sizes

    def shard_of(self, name: str) -> Path:
        """Return the shard that holds a member.

        Raises:
            TileError: If no shard holds it.
        """
        return self._paths[int(self._shard[self._must_find(name)])]

    def read(self, name: str) -> bytes:
        """Return a member's bytes.

        Raises:
            TileError: If no shard holds it, or the shard is gone, changed, truncated or unreadable.
        """
        at = self._must_find(name)
        shard, size = int(self._shard[at]), int(self._sizes[at])
        where = f"{self._paths[shard]}!{name}"
        if size > _MAX_MEMBER_BYTES:
            raise TileError(where, f"the member has {size} bytes", f"The limit is {_MAX_MEMBER_BYTES} bytes.")
        try:
            content = os.pread(self._file(shard), size, int(self._offsets[at]))
        except OSError as error:
            raise TileError(where, f"the shard cannot be read ({error.strerror})", "Check the disk.") from error
        if len(content) != size:
            raise TileError(where, f"only {len(content)} of {size} bytes could be read", "Download the shard again.")
        return content

    def close(self) -> None:
        """Close the shards; a later read opens them again."""
        with self._lock:
            files, self._files = self._files, {}
        for descriptor in files.values():
            os.close(descriptor)

    def __del__(self) -> None:
        if getattr(self, "_files", None):
            self.close()

    def _file(self, shard: int) -> int:
        """Return a descriptor of a shard that is still as it was indexed."""
        descriptor = self._files.get(shard)
        if descriptor is None:
            with self._lock:
                descriptor = self._files.get(shard)
                if descriptor is None:
                    descriptor = self._files[shard] = open_shard(self._paths[shard])
        if stamp_of(descriptor) != self._stamps[shard]:
            raise TileError(self._paths[shard], "the shard changed after its index was read", "Open the map again.")
        return descriptor

    def _find(self, name: str) -> int | None:
        key = name.encode("utf-8", "surrogateescape")
        if len(key) > self._names.dtype.itemsize or b"\0" in key:
            return None  # numpy pads with zeros, and would widen the whole table for a longer key
        at = int(np.searchsorted(self._names, np.bytes_(key)))
        return at if at < len(self._names) and self._names[at] == key else None

    def _must_find(self, name: str) -> int:
        at = self._find(name)
        if at is None:
            shards = f"{self._paths[0].parent} ({len(self._paths)} shards)" if self._paths else "no shards"
            raise TileError(f"{shards}!{name[:200]}", "no shard contains this member",
                            "Check the name, or download the missing shard.")
        return at
