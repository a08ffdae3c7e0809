"""Arrays on the disk: rows of one size by number, a mark for each that is its checksum, and a head that says what they are.

The view cache, the map index, the outputs of frozen blocks and ready photos are folders of this kind. Nothing in them is
trusted before the sizes of the files, the marks and the head agree. Each of the four says what a row is, what its checksum
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
"""Rows that are looked for together."""
_READ_BYTES = 1 << 24
"""Bytes that are read at once to check rows."""


@dataclass(frozen=True)
class Store:
    """One kind of folder of arrays.

    Args:
        format: Its name and version, `NAME/NUMBER`, in every head.
        what: What it is, for errors: `a view cache`.
        refuse: Kind of its errors.
        remedy: What to do about a broken one, as a sentence.
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
            parse: Makes the head of its values; raises `ValueError` or an error of this package where they are wrong.

        Raises:
            JustZoomInError: Of the kind `refuse`, if it cannot be read, has another format or `parse` refuses it.
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
    """Rows of one size in one file. Can be pickled and used from threads and forked processes.

    Rows are read through a memory map or at their offsets, and written at their offsets: through a map, a full disk would end
    the process. Several processes may write at once. The file is opened to be written, through no link, when it first is.

    Args:
        store: The kind of folder that the file is in.
        path: The file.
        row: Number format and shape of a row.
        count: How many rows it must have; None for as many as it has.

    Raises:
        JustZoomInError: Of the store's kind, if it is missing, not a regular file, or of another size: reading beyond the end
            of a map would end the process.
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
        """Open a file to fill it: it is made, or cut or grown to its size, with a hole where it is new.

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
        """All rows (count, ...), mapped, read-only and in place. Touch none that may be a hole: the disk may have no room."""
        size = self.count * self.row.itemsize
        return np.frombuffer(mmap.mmap(self._file.fileno(), size, access=mmap.ACCESS_READ) if size else b"", self.row)

    def read(self, first: int, count: int = 1) -> npt.NDArray[Any]:
        """Return rows (count, ...) from one on, copied; fewer where the file ends."""
        size = self.row.itemsize
        content = os.pread(self._file.fileno(), count * size, first * size)
        return np.frombuffer(content, self.row, len(content) // size)

    def write(self, number: int, row: npt.NDArray[Any] | np.void) -> None:
        """Write a row; a disk that is full or broken is a `DiskError`."""
        write_at(self.writer, row.tobytes(), number * self.row.itemsize)

    @cached_property
    def writer(self) -> IO[bytes]:
        """The file, opened to be written."""
        return open_to_write(self.path, "r+b")


class MarkedRows:
    """Rows of one file or of several beside each other, with a mark for each number: a checksum, in a field of the last file.

    A row is there if its mark is its checksum. So a row that was torn, or that two processes spoiled between them, is one that
    is not there and is made again, and files may have holes: while they are filled, by one process or several, or for ever.

    Args:
        columns: The files.
        mark: Field of the last one's rows that holds the mark. It is 0 in a hole.
        checksum: Checksum of a row of each file, whatever the field of the mark holds.
    """

    def __init__(self, columns: Sequence[Rows], mark: str, checksum: Callable[..., int]) -> None:
        self.columns, self._mark, self._checksum = columns, mark, checksum
        self._known = np.zeros(len(self), np.bool_)  # rows that this process has checked or written

    def __len__(self) -> int:
        return min(column.count for column in self.columns)

    def known(self, numbers: Ints) -> npt.NDArray[np.bool_]:
        """Return which (N,) of the rows of numbers (N,) are there; once a row is, it is not read again."""
        new, (*others, last) = np.unique(numbers[~self._known[numbers]]), self.columns
        most = max(1, _READ_BYTES // sum(column.row.itemsize for column in self.columns))
        edges = [0, *(np.flatnonzero(np.diff(new) != 1) + 1).tolist(), len(new)]
        for part in (new[at:min(at + most, end)] for start, end in pairwise(edges) for at in range(start, end, most)):
            rows = last.read(int(part[0]), len(part))
            marked = np.flatnonzero(rows[self._mark]).tolist()
            columns = [*(column.read(int(part[0]), len(part)) for column in others if marked), rows]
            for place in marked:
                row = [column[place] for column in columns]
                self._known[part[place]] = self._checksum(*row) == int(row[-1][self._mark])
        known: npt.NDArray[np.bool_] = self._known[numbers]
        return known

    def write(self, number: int, *row: Any) -> None:
        """Write a row of each file, the last one with its mark last; a disk that is full or broken is a `DiskError`."""
        row[-1][self._mark] = self._checksum(*row)
        for column, part in zip(self.columns, row, strict=True):
            column.write(number, part)
        self._known[number] = True

    def missing(self) -> Iterator[Ints]:
        """Yield numbers of the rows that are not there, in blocks."""
        for start in range(0, len(self), _BLOCK):
            numbers = np.arange(start, min(start + _BLOCK, len(self)))
            yield numbers[~self.known(numbers)]

    def count(self) -> int:
        """Return how many rows are there."""
        return len(self) - sum(len(part) for part in self.missing())

    def flush(self) -> None:
        """Bring what was written to the disk; a disk that is full or broken is a `DiskError`."""
        for column in self.columns:
            if "writer" in vars(column):
                sync(column.writer)


def checksum(*parts: Any) -> int:
    """Return the CRC-32 of bytes and contiguous arrays, one behind the other."""
    value = 0
    for part in parts:
        value = zlib.crc32(part, value)
    return value


def require_room(folder: Path, wanted: int, what: str, remedy: str, refuse: type[JustZoomInError] = DataError,
                 files: Sequence[Path] = ()) -> None:
    """Refuse a disk that has less room than a folder will take: `wanted` bytes less what `files`, parts of it, take already.

    Raises:
        JustZoomInError: Of the kind `refuse`.
    """
    wanted -= sum(min(getattr(path.stat(), "st_blocks", 0) * 512, path.stat().st_size) for path in files if path.is_file())
    if wanted > (free := free_bytes(folder)):
        raise refuse(folder, f"{what} take {wanted:,} bytes and the disk has {free:,} free", remedy)
