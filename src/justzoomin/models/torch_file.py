"""Check of files from torch.save before torch opens them: they must be complete and need no more memory than their size."""

from __future__ import annotations

import itertools
import pickletools
import zipfile
from pathlib import Path
from typing import IO

_MAX_PICKLE_BYTES = 64 << 20
_LEGACY_PICKLES = 5
"""Pickles at the start of a file from before torch 1.6: mark, version, machine, content, names of the storages."""
_ALLOCATES = frozenset({"builtins bytearray", "__builtin__ bytearray"})
"""Functions that torch lets a pickle call with any size."""


def check_torch_file(path: Path) -> None:
    """Refuse a file that is damaged, whose tensors are compressed or overlap, or that allocates memory without content.

    torch.save stores tensors uncompressed, with checksums that torch.load does not check.

    Raises:
        ValueError: If so. The message says what is wrong.
        OSError: If the file cannot be read.
    """
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            for _ in range(_LEGACY_PICKLES):
                _check_pickle(file)
        return
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
                raise ValueError("it is compressed, but torch.save never compresses")
            if sum(entry.file_size for entry in entries) > path.stat().st_size:
                raise ValueError("its entries are larger than the file")
            if (damaged := archive.testzip()) is not None:
                raise ValueError(f"the checksum of {damaged} is wrong")
            for entry in entries:
                if entry.filename.endswith("/data.pkl"):
                    with archive.open(entry) as file:
                        _check_pickle(file)
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise ValueError(f"its archive is damaged ({error})") from error


def _check_pickle(file: IO[bytes]) -> None:
    """Walk a pickle without building anything; torch reports files that are not pickles."""
    codes = pickletools.genops(file)
    for count in itertools.count():
        try:
            code, value, place = next(codes)
        except (StopIteration, ValueError, UnicodeError, EOFError):
            return
        if code.name == "GLOBAL" and value in _ALLOCATES:
            raise ValueError("it allocates memory of any size without content")
        if max(count, place or 0) > _MAX_PICKLE_BYTES:
            raise ValueError(f"its list of tensors has more than {_MAX_PICKLE_BYTES} bytes")
