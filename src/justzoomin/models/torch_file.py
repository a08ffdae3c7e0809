"""Files of torch.save, looked at before torch opens them: whole, and taking no more memory than the file is large."""

from __future__ import annotations

import itertools
import pickletools
import zipfile
from pathlib import Path
from typing import IO

_MAX_PICKLE_BYTES = 64 << 20
_LEGACY_PICKLES = 5
"""Pickles at the start of a file of before torch 1.6: mark, version, machine, content, names of the storages."""
_MAKES_ROOM = frozenset({"builtins bytearray", "__builtin__ bytearray"})
"""What torch lets a pickle call with a size of its own choice."""


def check_torch_file(path: Path) -> None:
    """Refuse a file that is damaged, whose tensors are compressed or overlap, or that asks for memory without content.

    torch.save stores tensors uncompressed, with checksums that torch.load does not look at.

    Raises:
        ValueError: It says what is wrong.
        OSError: If it cannot be read.
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
                raise ValueError("it is compressed, which torch.save never does")
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
    """Walk a pickle without building anything; what is no pickle is left to torch, which says so."""
    codes = pickletools.genops(file)
    for count in itertools.count():
        try:
            code, value, place = next(codes)
        except (StopIteration, ValueError, UnicodeError, EOFError):
            return
        if code.name == "GLOBAL" and value in _MAKES_ROOM:
            raise ValueError("it makes room of a size of its own choice")
        if max(count, place or 0) > _MAX_PICKLE_BYTES:
            raise ValueError(f"its list of tensors has more than {_MAX_PICKLE_BYTES} bytes")
