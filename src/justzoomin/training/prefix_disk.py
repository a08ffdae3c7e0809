"""Outputs of frozen blocks on the disk: an array over view numbers, with a mark for each view.

A folder holds `header.json`, `tokens.bin` (one row per view, a hole until it is written) and `marks.bin` (per view, a hash of
its pixels and a checksum of its row). A row is valid if both are right. So an incomplete write counts as a missing row, several
processes can fill one folder, and a view of a changed map is computed again.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from justzoomin.errors import TrainingError
from justzoomin.files import sweep, write_json
from justzoomin.store import MarkedRows, Rows, Store, checksum, require_room

_STORE = Store("justzoomin-prefix/1", "outputs of frozen blocks", TrainingError, "Remove the folder. It will be made again.")
_MARK = np.dtype([("pixels", "<u8"), ("crc", "<u4")])
_SPARE_BYTES = 64 << 20
_NUMPY: dict[torch.dtype, np.dtype[Any]] = {torch.float32: np.dtype("<f4"), torch.float16: np.dtype("<f2")}


class DiskStore(MarkedRows):
    """A folder of outputs.

    If the limit is too small for all views of the grid, the first numbers are kept: the coarse views, which more photos share.

    Args:
        folder: The folder; made if missing.
        key: 64 hex digits for everything except the pixels that the outputs depend on.
        shape: Shape of one output.
        dtype: float32 or float16.
        count: Number of views of the grid.
        max_bytes: Size limit of all outputs in bytes.

    Attributes:
        rows: Number of views within the limit; only views with smaller numbers are kept.

    Raises:
        TrainingError: If the folder holds something else, cannot be written, or the disk is too full.
    """

    def __init__(self, folder: Path, key: str, shape: tuple[int, ...], dtype: torch.dtype, count: int, max_bytes: int) -> None:
        self.folder = folder
        self._dtype, self._row = dtype, np.dtype((_NUMPY[dtype], shape))
        self.rows = min(count, max_bytes // self._row.itemsize)
        self._seen: set[int] = set()  # rows whose pixels this process has checked
        header = {"format": _STORE.format, "key": key, "shape": list(shape), "dtype": _NUMPY[dtype].str, "views": count}
        try:
            super().__init__(self._open(header, count), "crc", lambda row, mark: checksum(row))
        except OSError as error:
            raise TrainingError(folder, f"the outputs of frozen blocks cannot be kept here ({error.strerror or error})",
                                "Set prefix_cache_folder to a writable folder, or set prefix_cache=memory.") from error

    def get(self, number: int, pixels: Callable[[], bytes]) -> torch.Tensor | None:
        """Return the output of a view, or None if it is not there, is damaged, or was made from other pixels."""
        tokens, marks = self.columns
        if not 0 <= number < self.rows:
            return None
        if number not in self._seen:
            there = bool(self.known(np.array([number]))[0])
            if not there or int(marks.read(number)["pixels"][0]) != _hash(pixels()):
                return None
            self._seen.add(number)
        row = tokens.read(number)
        return torch.from_numpy(row[0].astype(row.dtype.newbyteorder("="))) if len(row) else None

    def put(self, number: int, pixels: Callable[[], bytes], tokens: torch.Tensor) -> None:
        """Keep the output of a view, if its number is within the limit."""
        if not 0 <= number < self.rows:
            return
        row = tokens.detach().cpu().to(self._dtype).contiguous().numpy().astype(self._row.base, copy=False)
        try:
            self.write(number, row, np.array((_hash(pixels()), 0), _MARK))
        except OSError as error:
            warnings.warn(f"{self.folder}: no more outputs of frozen blocks are kept ({error.strerror})", stacklevel=2)
            self.rows = 0
            return
        self._seen.add(number)

    def _open(self, header: dict[str, object], count: int) -> list[Rows]:
        self.folder.mkdir(parents=True, exist_ok=True)
        sweep(self.folder)
        path = self.folder / "header.json"
        if path.exists() and _STORE.load(path, dict) != header:
            raise _STORE.error(path, "this header belongs to other outputs")
        made = {}
        for file, row in ((self.folder / "tokens.bin", self._row), (self.folder / "marks.bin", _MARK)):
            there = Rows(_STORE, file, row).count if file.exists() else 0
            if there > count:
                raise _STORE.error(file, f"it has {there} rows, but there are {count} views")
            made[file] = row, max(there, self.rows)
        require_room(self.folder, self.rows * self._row.itemsize + _SPARE_BYTES, "the outputs of frozen blocks",
                     "Lower prefix_cache_mb, use prefix_cache_dtype=fp16, or set prefix_cache_folder to a larger disk.",
                     TrainingError, [self.folder / "tokens.bin"])
        columns = [Rows.make(_STORE, file, row, rows) for file, (row, rows) in made.items()]
        if not path.exists():
            write_json(header, path)
        return columns


def _hash(pixels: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(pixels, digest_size=8).digest(), "little")
