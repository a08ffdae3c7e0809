"""Files that are whole or not there, and folders that one job works in at a time."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from justzoomin.errors import DataError
from justzoomin.spelling import json_text

_UMASK = os.umask(0o022)
os.umask(_UMASK)
_NEW_FILE_MODE = 0o666 & ~_UMASK

LOCK = ".jzi-lock"
"""The file that is locked while a job works in a folder; a killed job leaves it behind, unlocked."""


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
    return write_bytes(path, (json_text(values) + "\n").encode())


def sync_folder(folder: Path) -> None:
    """Make the names in a folder last: after a rename, a power cut may otherwise bring the old ones back."""
    with contextlib.suppress(OSError):  # not every file system can
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def folder_lock(folder: Path, job: str) -> Iterator[None]:
    """Hold a folder for a job; the system lets go of it when the process ends, however it ends.

    Args:
        folder: The folder; made if missing.
        job: What is done in it, for the error.

    Raises:
        DataError: If another process holds it.
        OSError: If the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK
    with path.open("ab") as file:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not path.exists() or not os.path.samestat(path.stat(), os.fstat(file.fileno())):
                raise BlockingIOError  # another job ended and a third began between our two calls
        except ImportError:  # no such locks on this system: two jobs would repeat each other's work, not spoil it
            pass
        except BlockingIOError as error:
            raise DataError(folder, f"another {job} is running in this folder", "Wait for it to end.") from error
        except OSError:  # a file system without locks
            pass
        try:
            yield
        finally:
            with contextlib.suppress(OSError):  # where an open file cannot be removed it stays, unlocked
                path.unlink(missing_ok=True)
