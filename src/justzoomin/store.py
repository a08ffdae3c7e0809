"""Arrays on disk: numbered rows of one size, a mark for each row that is its checksum, and a head that describes them.

The view cache, the map index, the outputs of frozen blocks and ready photos are folders of this kind. Nothing in them is
trusted until the sizes of the files, the marks and the head agree. Each of the four defines what a row is, what its checksum
covers and what the head binds it to.
"""

from __future__ import annotations

import json
import mmap
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
import numpy.typing as npt

from justzoomin.errors import DataError, JustZoomInError
from justzoomin.files import free_bytes, open_for_rows, open_to_write, sync, write_at
from justzoomin.untrusted import open_regular, printable, read_limited

Head = TypeVar("Head")
Ints = npt.NDArray[np.int64]
_MAX_HEAD_BYTES = 1 << 16
_BLOCK = 4096
"""Rows that are checked together for missing ones."""
_READ_BYTES = 1 << 24
"""Bytes that are read at once to check rows."""


@dataclass(frozen=True)
class Store:
    """One kind of folder of arrays.

    Args:
        format: Its name and version, `NAME/NUMBER`, in every head.
        what: What it is, for errors: `a view cache`.
        refuse: Class of its errors.
        remedy: What to do about a broken folder, as a sentence.
    """

    format: str
    what: str
    refuse: type[JustZoomInError]
    remedy: str

    def error(self, where: str | Path, what: str) -> JustZoomInError:
        """Return an error of this kind of folder, with its remedy."""
        return self.refuse(where, what, self.remedy)

    def load(self, path: Path, parse: Callable[[dict[str, Any]], Head]) -> Head:
        """Read a head.

        Args:
            path: The file.
            parse: Makes the head from its values; raises `ValueError` or an error of this package if they are wrong.

        Raises:
            JustZoomInError: Of the class `refuse`, if it cannot be read, has another format or `parse` refuses it.
        """
        try:
            values = json.loads(read_limited(path, _MAX_HEAD_BYTES))
            there = str(values.get("format")) if isinstance(values, dict) else ""
            if there != self.format:
                older = there[:-1] == self.format[:-1] and there < self.format
                raise ValueError("it was made by an older version" if older else f'its "format" is not "{self.format}"')
            return parse(values)
        except OSError as error:
            raise self.error(path, f"it cannot be read ({error.strerror})") from error
        except (ValueError, RecursionError, OverflowError) as error:
            raise self.error(path, f"it is not the head of {self.what} ({printable(error, 200)})") from error
        except JustZoomInError as error:
            raise self.error(path, f"it is not the head of {self.what} ({error.where}: {error.what})") from error


class Rows:
    """Rows of one size in one file. They can be pickled and used from threads and forked processes.

    Rows are read through a memory map or at their offsets. They are written at their offsets, because a full disk would end
    the process that writes through a map. Several processes may write at once. The file is opened for writing at the first
    write, and not through a link.

    Args:
        store: The kind of folder that the file is in.
        path: The file.
        row: Number format and shape of a row.
        count: Number of rows that the file must have; None for any number.

    Raises:
        JustZoomInError: Of the store's class, if the file is missing, not a regular file, or has the wrong size: reading past
            the end of a map would end the process.
    """

    def __init__(self, store: Store, path: Path, row: npt.DTypeLike, count: int | None = None) -> None:
        self.store, self.path, self.row = store, path, np.dtype(row)
        try:
            self._file = open_regular(path)
        except OSError as error:
            raise store.error(path, f"it cannot be read ({error.strerror})") from error
        size = os.fstat(self._file.fileno()).st_size
        self.count = size // self.row.itemsize if count is None else count
        if size != self.count * self.row.itemsize:
            raise store.error(path, f"it has {size} bytes instead of {self.count * self.row.itemsize}")

    @classmethod
    def make(cls, store: Store, path: Path, row: npt.DTypeLike, count: int) -> Rows:
        """Open a file to fill it: it is created, or cut or extended to its size, with a hole for the new part.

        Raises:
            DataError: If it is a link or not a regular file.
            OSError: If it cannot be written.
        """
        with open_for_rows(path) as file:
            file.truncate(count * np.dtype(row).itemsize)
        return cls(store, path, row, count)

    def __reduce__(self) -> tuple[Any, ...]:
        return Rows, (self.store, self.path, self.row, self.count)

    @cached_property
    def values(self) -> npt.NDArray[Any]:
        """All rows (count, ...), memory-mapped and read-only. Do not read a row that may be a hole: the disk may be full."""
        size = self.count * self.row.itemsize
        return np.frombuffer(mmap.mmap(self._file.fileno(), size, access=mmap.ACCESS_READ) if size else b"", self.row)

    def read(self, first: int, count: int = 1) -> npt.NDArray[Any]:
        """Return copies of rows (count, ...) starting at `first`; fewer at the end of the file."""
        size = self.row.itemsize
        content = os.pread(self._file.fileno(), count * size, first * size)
        return np.frombuffer(content, self.row, len(content) // size)

    def write(self, number: int, row: npt.NDArray[Any] | np.void) -> None:
        """Write a row; a full or broken disk raises `DiskError`."""
        write_at(self.writer, row.tobytes(), number * self.row.itemsize)

    @cached_property
    def writer(self) -> IO[bytes]:
        """The file, opened for writing."""
        return open_to_write(self.path, "r+b")


class MarkedRows:
    """Rows of one or several parallel files, with a mark for each row: a checksum in a field of the last file.

    A row exists if its mark equals its checksum. So a row that was cut off, or that two processes wrote at once, counts as
    missing and is made again. Files may have holes, for a time or for ever.

    Args:
        columns: The files.
        mark: Field that holds the mark, in rows of the last file. It is 0 in a hole.
        checksum: Checksum over a row of each file; it ignores the field of the mark.
    """

    def __init__(self, columns: Sequence[Rows], mark: str, checksum: Callable[..., int]) -> None:
        self.columns, self._mark, self._checksum = columns, mark, checksum
        self._known = np.zeros(len(self), np.bool_)  # rows that this process has checked or written

    def __len__(self) -> int:
        return min(column.count for column in self.columns)

    def known(self, numbers: Ints) -> npt.NDArray[np.bool_]:
        """Return which (N,) of the rows with given numbers (N,) exist; a row that was found is not read again."""
        new, (*others, last) = np.unique(numbers[~self._known[numbers]]), self.columns
        most = max(1, _READ_BYTES // sum(column.row.itemsize for column in self.columns))
        edges = [0, *(np.flatnonzero(np.diff(new) != 1) + 1).tolist(), len(new)]
        for part in (new[at:min(at + most, end)] for start, end in pairwise(edges) for at in range(start, end, most)):
            rows = last.read(int(part[0]), len(part))
            marked = np.flatnonzero(rows[self._mark])
            columns = [*(column.read(int(part[0]), len(part)) for column in others if len(marked)), rows]
            for place in marked[marked < min(map(len, columns))].tolist():  # another process may have cut a file
                row = [column[place] for column in columns]
                self._known[part[place]] = self._checksum(*row) == int(row[-1][self._mark])
        known: npt.NDArray[np.bool_] = self._known[numbers]
        return known

    def write(self, number: int, *row: Any) -> None:
        """Write a row of each file, and the last file with the mark last; a full or broken disk raises `DiskError`."""
        row[-1][self._mark] = self._checksum(*row)
        for column, part in zip(self.columns, row, strict=True):
            column.write(number, part)
        self._known[number] = True

    def missing(self) -> Iterator[Ints]:
        """Yield the numbers of missing rows, in blocks."""
        for start in range(0, len(self), _BLOCK):
            numbers = np.arange(start, min(start + _BLOCK, len(self)))
            yield numbers[~self.known(numbers)]

    def count(self) -> int:
        """Return the number of existing rows."""
        return len(self) - sum(len(part) for part in self.missing())

    def flush(self) -> None:
        """Write everything to the disk; a full or broken disk raises `DiskError`."""
        for column in self.columns:
            if "writer" in vars(column):
                sync(column.writer)


def checksum(*parts: Any) -> int:
    """Return the CRC-32 of concatenated bytes and contiguous arrays."""
    value = 0
    for part in parts:
        value = zlib.crc32(part, value)
    return value


def require_room(folder: Path, wanted: int, what: str, remedy: str, refuse: type[JustZoomInError] = DataError,
                 files: Sequence[Path] = ()) -> None:
    """Refuse a disk with too little free space for a folder: `wanted` bytes minus the size of its existing `files`.

    Raises:
        JustZoomInError: Of the class `refuse`, if the space does not suffice.
    """
    wanted -= sum(min(getattr(path.stat(), "st_blocks", 0) * 512, path.stat().st_size) for path in files if path.is_file())
    if wanted > (free := free_bytes(folder)):
        raise refuse(folder, f"{what} need {wanted:,} bytes, but the disk has only {free:,} free", remedy)
