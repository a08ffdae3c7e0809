"""Outputs of frozen blocks on the disk: an array over view numbers, with a mark for each view.

A folder holds `header.json`, `tokens.bin` (one row a view, a hole until it is written) and `marks.bin`: for each view a hash
of the pixels it was made from and a checksum of its row. A row counts as there if both are right. So a torn write reads as no
row, several processes can fill one folder, and a view of a changed map is made again.

Rows are read and written at their offsets and not through a memory map: a full disk is then an error and not a crash.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch

from justzoomin.errors import TrainingError
from justzoomin.files import open_for_rows, sweep, write_at, write_json
from justzoomin.untrusted import read_limited

FORMAT = "justzoomin-prefix/1"
_MARK = struct.Struct("<QI")
_MAX_HEADER_BYTES = 1 << 16
_SPARE_BYTES = 64 << 20
_NUMPY: dict[torch.dtype, np.dtype[Any]] = {torch.float32: np.dtype("<f4"), torch.float16: np.dtype("<f2")}


class DiskStore:
    """A folder of outputs.

    Room for fewer views than the grid has is given to the first numbers: the coarse views, which more photos share.

    Args:
        folder: The folder; made if missing.
        key: What the outputs depend on besides pixels, 64 hex digits.
        shape: Shape of one output.
        dtype: float32 or float16.
        count: Views of the grid.
        max_bytes: Room for all outputs.

    Attributes:
        rows: Views that there is room for: those with numbers below.

    Raises:
        TrainingError: If the folder holds something else, cannot be written, or the disk is too full.
    """

    def __init__(self, folder: Path, key: str, shape: tuple[int, ...], dtype: torch.dtype, count: int, max_bytes: int) -> None:
        self.folder, self._shape, self._dtype = folder, shape, dtype
        self._bytes = int(np.prod(shape)) * _NUMPY[dtype].itemsize
        self.rows = min(count, max_bytes // self._bytes)
        self._seen: set[int] = set()  # rows whose pixels and checksum were found right by this process
        header = {"format": FORMAT, "key": key, "shape": list(shape), "dtype": _NUMPY[dtype].str, "views": count}
        try:
            self._open(header, count)
        except OSError as error:
            raise TrainingError(folder, f"the outputs of frozen blocks cannot be kept here ({error.strerror or error})",
                                "Set prefix_cache_folder to a folder that can be written, or prefix_cache=memory.") from error

    def get(self, number: int, pixels: Callable[[], bytes]) -> torch.Tensor | None:
        """The output of a view, or None if it is not there, is damaged, or was made from other pixels."""
        if not 0 <= number < self.rows:
            return None
        mark = os.pread(self._marks.fileno(), _MARK.size, number * _MARK.size)
        if len(mark) < _MARK.size or not any(mark):
            return None
        row = os.pread(self._tokens.fileno(), self._bytes, number * self._bytes)
        if len(row) < self._bytes:
            return None
        if number not in self._seen:
            if _MARK.pack(_hash(pixels()), zlib.crc32(row)) != mark:
                return None
            self._seen.add(number)
        values = np.frombuffer(bytearray(row), _NUMPY[self._dtype]).reshape(self._shape)
        return torch.from_numpy(values.astype(_NUMPY[self._dtype].newbyteorder("="), copy=False))

    def put(self, number: int, pixels: Callable[[], bytes], tokens: torch.Tensor) -> None:
        """Keep the output of a view, if there is room for its number."""
        if not 0 <= number < self.rows:
            return
        row = tokens.detach().cpu().to(self._dtype).contiguous().numpy().astype(_NUMPY[self._dtype], copy=False).tobytes()
        try:
            write_at(self._tokens, row, number * self._bytes)
            write_at(self._marks, _MARK.pack(_hash(pixels()), zlib.crc32(row)), number * _MARK.size)
        except OSError as error:
            warnings.warn(f"{self.folder}: no more outputs of frozen blocks are kept ({error.strerror})", stacklevel=2)
            self.rows = 0
            return
        self._seen.add(number)

    def close(self) -> None:
        """Close the files."""
        self._tokens.close()
        self._marks.close()

    def _open(self, header: dict[str, object], count: int) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        sweep(self.folder)
        path = self.folder / "header.json"
        if path.exists():
            try:
                there = json.loads(read_limited(path, _MAX_HEADER_BYTES))
            except (ValueError, RecursionError):
                there = None
            if there != header:
                raise TrainingError(path, "this is not the header of these outputs", "Remove the folder; it is made again.")
        sizes = {"tokens.bin": self._bytes, "marks.bin": _MARK.size}
        for name, each in sizes.items():
            file = self.folder / name
            size = file.stat().st_size if file.exists() else 0
            if size % each or size > each * count:
                raise TrainingError(file, f"it has {size} bytes: no whole number of rows of {each} bytes, or too many",
                                    "Remove the folder; it is made again.")
        self._check_room()
        self._tokens, self._marks = (self._sized(name, each * self.rows) for name, each in sizes.items())
        if not path.exists():
            write_json(header, path)

    def _sized(self, name: str, size: int) -> IO[bytes]:
        file = open_for_rows(self.folder / name)
        if os.fstat(file.fileno()).st_size < size:
            file.truncate(size)
        return file

    def _check_room(self) -> None:
        file = self.folder / "tokens.bin"
        taken = getattr(file.stat(), "st_blocks", 0) * 512 if file.exists() else 0
        wanted, free = self.rows * self._bytes - taken, shutil.disk_usage(self.folder).free
        if wanted + _SPARE_BYTES > free:
            raise TrainingError(self.folder, f"the outputs of frozen blocks may take {wanted / 1e9:.1f} GB more, the disk has "
                                f"{free / 1e9:.1f} GB left", "Lower prefix_cache_mb, use prefix_cache_dtype=fp16, or set "
                                "prefix_cache_folder to a folder on a larger disk.")


def _hash(pixels: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(pixels, digest_size=8).digest(), "little")
