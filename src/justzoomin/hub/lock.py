"""One job at a time in a folder."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from justzoomin.errors import DataError

LOCK = ".jzi-lock"
"""The file that is locked; a killed job leaves it behind, unlocked."""


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
