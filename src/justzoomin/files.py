"""Writing files so that a reader meets the old content or the new, never half of it."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

_UMASK = os.umask(0o022)
os.umask(_UMASK)
_NEW_FILE_MODE = 0o666 & ~_UMASK


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """A binary file to write; it gets its name, synced to the disk, when the block ends without an error.

    Its folder is made if missing. Until then the content lies beside it as `.<name>.<random>.part`.

    Raises:
        OSError: If it cannot be written; nothing is left behind then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", suffix=".part", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(_NEW_FILE_MODE)  # as any other new file, not private as mkstemp makes it
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, data: bytes) -> Path:
    """Write a file atomically; return its path.

    Raises:
        OSError: If it cannot be written.
    """
    with atomic_file(path) as file:
        file.write(data)
    return path


def write_json(values: Any, path: Path) -> Path:
    """Write JSON atomically, UTF-8, indented; return the path.

    Raises:
        OSError: If it cannot be written.
    """
    return write_bytes(path, (json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode())


def sync_folder(folder: Path) -> None:
    """Make the names in a folder last: after a rename, a power cut may otherwise bring the old ones back."""
    with contextlib.suppress(OSError):  # not every file system can
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

