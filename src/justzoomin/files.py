"""Files that are whole or not there, written below their folder, and folders that one job works in at a time.

Everything that the package writes goes through this file: so no link leads it out of the folder that it belongs to, and a disk
that is full or broken is an error that names the file and says what to do (`DiskError`).
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import secrets
import shutil
import stat
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Literal

from justzoomin.errors import DataError, DiskError
from justzoomin.spelling import json_text

try:
    import fcntl
except ImportError:  # no such locks on this system
    fcntl = None  # type: ignore[assignment]

LOCK = ".jzi-lock"
"""The file that is locked while a job works in a folder; a killed job leaves it behind, unlocked."""
PART = ".part"
"""End of the names of files and folders that are not whole yet; they begin with a dot."""
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
_NO_ROOM_CALL = {errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENODEV}
_MAX_NAME_BYTES = 200
_held: set[Path] = set()
_holding = threading.Lock()
_locks: set[int] = set()


def cache_home() -> Path:
    """Return the folder of all that is kept for the user: `$JZI_HOME`, or `~/.cache/justzoomin`.

    Raises:
        RuntimeError: If there is no home folder.
    """
    home = os.environ.get("JZI_HOME")
    return Path(home) if home else Path.home() / ".cache" / "justzoomin"


# --- links ---------------------------------------------------------------------------------------------------------------


def refuse_links(root: Path, path: Path) -> Path:
    """Return a path below a folder, after a look whether a link leads out of the folder on the way to it.

    Args:
        root: The folder, which may be a link itself: the user named it.
        path: A path that begins with `root`.

    Raises:
        DataError: If one of the folders below `root`, or the path itself, is a link.
    """
    for place in (path, *path.parents):
        if place == root:
            break
        if place.is_symlink():
            raise _link_error(place)
    return path


def _link_error(path: Path) -> DataError:
    return DataError(path, "it is a link, which may lead out of the folder; nothing is written through it",
                     "Put a real file or folder in its place, or remove it.")


# --- writing -------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def disk_words(path: Path) -> Iterator[None]:
    """Name the file in errors of the disk: what a write, a flush or a sync raises names none.

    Raises:
        DiskError: In the place of an `OSError` without a file, or of a disk that is full or broken.
    """
    try:
        yield
    except DiskError:
        raise
    except OSError as error:
        if error.filename is None or error.errno in _FULL:
            raise DiskError(path, error) from error
        raise


class _NamedFile(io.FileIO):
    """A file to write; it is opened through no link, and its errors name it, or what it becomes."""

    def __init__(self, path: Path, mode: str, told: Path) -> None:
        self.told = told
        with disk_words(told):
            super().__init__(str(path), mode, opener=_open_no_link)
        if not stat.S_ISREG(os.fstat(self.fileno()).st_mode):
            self.close()
            raise DataError(path, "it is not a regular file", "Remove it.")

    def write(self, data: Any) -> int:
        with disk_words(self.told):
            return super().write(data)

    def truncate(self, size: int | None = None) -> int:
        with disk_words(self.told):
            return super().truncate(size)

    def close(self) -> None:
        with disk_words(self.told):
            super().close()


def _open_no_link(path: str, flags: int) -> int:
    own = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        return os.open(path, flags | own, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _link_error(Path(path)) from error
        raise


def open_to_write(path: Path, mode: Literal["wb", "xb", "ab", "r+b"] = "wb", told: Path | None = None) -> IO[bytes]:
    """Open a file to write it in place; close it in a `with`, and bring it to the disk with `sync`.

    Args:
        path: The file.
        mode: As of `open`.
        told: The file that errors of the disk name instead.

    Raises:
        DataError: If it is a link, or not a regular file.
        OSError: If it cannot be opened.
    """
    raw = _NamedFile(path, mode.replace("b", ""), told or path)
    return io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)


def open_for_rows(path: Path) -> IO[bytes]:
    """Open a file that is read and written at offsets; it is made if missing.

    Raises:
        DataError: If it is a link, or not a regular file.
        OSError: If it cannot be opened.
    """
    with contextlib.suppress(FileExistsError):
        open_to_write(path, "xb").close()
    return open_to_write(path, "r+b")


def _told(file: IO[bytes]) -> Path:
    name = getattr(getattr(file, "raw", None), "told", file.name)
    return Path(name) if isinstance(name, str | Path) else Path(tempfile.gettempdir())  # a temporary file without a name


def sync(file: IO[bytes]) -> None:
    """Bring a file to the disk.

    Raises:
        DiskError: If it cannot be written.
    """
    with disk_words(_told(file)):
        file.flush()
        os.fsync(file.fileno())


def write_at(file: IO[bytes], data: bytes, offset: int) -> None:
    """Write at an offset, past the file's buffer; several threads and processes may do so at once.

    Raises:
        DiskError: If it cannot be written.
    """
    rest = memoryview(data)
    with disk_words(_told(file)):
        while rest:
            written = os.pwrite(file.fileno(), rest, offset)
            rest, offset = rest[written:], offset + written


def reserve(file: IO[bytes], size: int) -> None:
    """Give a file a size and the room for it: a memory map of a file with holes ends the process where the disk is full.

    Raises:
        DiskError: If the disk has no room.
    """
    file.truncate(size)
    with disk_words(_told(file)):
        try:
            if size and hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            if error.errno not in _NO_ROOM_CALL:  # a file system that cannot reserve
                raise


@contextlib.contextmanager
def atomic_file(path: Path, root: Path | None = None) -> Iterator[IO[bytes]]:
    """A binary file to write; it gets its name, synced to the disk, when the block ends without an error.

    Its folder is made if missing. Until then the content lies beside it as `.NAME.part`. What a killed job left there is
    replaced; where another process writes the same file at this moment, the name has random letters.

    Args:
        path: The file.
        root: A folder that may come from elsewhere: no link on the way from it to the file is followed.

    Raises:
        DataError: If a link leads out of `root`.
        OSError: If it cannot be written; nothing is left behind then.
    """
    if root is not None:
        refuse_links(root, path.parent)
    with disk_words(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with _part_of(path) as (temporary, file):
        try:
            with file:
                yield file
                sync(file)
                if fcntl is None:
                    file.close()  # where an open file cannot be renamed
                with disk_words(path):
                    temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def _part_of(path: Path) -> Iterator[tuple[Path, IO[bytes]]]:
    """Open the file that holds another's content until it is whole, and hold it."""
    stem = f".{os.fsdecode(os.fsencode(path.name)[:_MAX_NAME_BYTES])}"
    temporary = path.with_name(f"{stem}{PART}")
    while True:
        with _holding:
            free = temporary not in _held
            if free:
                _held.add(temporary)
        try:
            file = _held_new(temporary, path) if free else None
            if file is not None:
                yield temporary, file
                return
        finally:
            if free:
                _held.discard(temporary)
        temporary = path.with_name(f"{stem}.{secrets.token_hex(4)}{PART}")


def _held_new(path: Path, told: Path) -> IO[bytes] | None:
    """A new file of that name, locked; None where another process writes one."""
    for _ in range(8):
        try:
            file = open_to_write(path, "xb", told)
        except FileExistsError:
            if not remove_left(path):
                return None
            continue
        with contextlib.suppress(OSError):  # a file system without locks
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(path.lstat(), os.fstat(file.fileno())):
                return file  # it was not taken for one of a killed job between our two calls
        file.close()
    return None


def remove_left(path: Path) -> bool:
    """Remove a file that no living process holds; whether it is gone."""
    try:
        if path.is_symlink():
            path.unlink()
            return True
        flags = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
        descriptor = os.open(path, os.O_RDONLY | flags)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        if fcntl is None:
            return False  # nobody can say who holds it
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def write_bytes(path: Path, data: bytes, root: Path | None = None) -> Path:
    """Write a file atomically; return its path.

    Raises:
        DataError: If a link leads out of `root`.
        OSError: If it cannot be written.
    """
    with atomic_file(path, root) as file:
        file.write(data)
    return path


def write_json(values: Any, path: Path, root: Path | None = None) -> Path:
    """Write JSON atomically, UTF-8, indented; return the path.

    Raises:
        DataError: If a link leads out of `root`.
        OSError: If it cannot be written.
    """
    return write_bytes(path, (json_text(values) + "\n").encode(), root)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder last: after a rename, a power cut may otherwise bring the old ones back."""
    with contextlib.suppress(OSError):  # not every file system can
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def free_bytes(folder: Path) -> int:
    """Return the free bytes of the disk that a folder is on, or will be on."""
    return shutil.disk_usage(next(path for path in (folder, *folder.absolute().parents) if path.exists())).free


# --- folders of jobs -----------------------------------------------------------------------------------------------------


def is_free(folder: Path, *own: str) -> bool:
    """Whether a folder is missing, empty, or holds only what a job leaves that is killed in its first moments.

    Args:
        folder: The folder.
        own: Names that the job makes before it says what the folder is.
    """
    return not folder.exists() or all(place.name in own or _is_left(place.name) for place in folder.iterdir())


def sweep(folder: Path) -> None:
    """Remove what killed jobs left half-written in a folder, and their locks; what a living process holds stays."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        for place in list(folder.iterdir()):
            if place.name.endswith(PART) and place.is_dir() and not place.is_symlink():
                with contextlib.suppress(DataError, OSError), lock_file(_lock_of(place), place, "job"):
                    shutil.rmtree(place)
            elif _is_left(place.name):
                remove_left(place)


def sweep_beside(final: Path) -> None:
    """Remove the work folder and the lock that a killed job left beside what it has made."""
    named = final.absolute()
    work = named.with_name(f".{named.name}{PART}")
    if work.exists() or _lock_of(work).exists():
        with contextlib.suppress(DataError, OSError), lock_file(_lock_of(work), final, "job"):
            shutil.rmtree(work, ignore_errors=True)


def remove_work(folder: Path, last: str) -> None:
    """Remove a work folder; the file that says that the job has ended goes last, when only the folder itself is left."""
    for left in list(folder.iterdir()):
        if left.name not in {last, LOCK}:
            shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()
    for name in (LOCK, last):
        (folder / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()


def _is_left(name: str) -> bool:
    return name.startswith(".") and name.endswith((PART, LOCK))


def _lock_of(work: Path) -> Path:
    return work.with_name(f"{work.name.removesuffix(PART)}{LOCK}")


@contextlib.contextmanager
def work_folder(final: Path, job: str) -> Iterator[Path]:
    """A new folder beside a file or folder that is made, `.NAME.part`; it is removed at the end, if it is still there.

    Args:
        final: What is made.
        job: What is done, for the error.

    Raises:
        DataError: If another process makes the same.
        OSError: If it cannot be made.
    """
    named = final.absolute()
    work = named.with_name(f".{named.name}{PART}")
    with disk_words(final):
        work.parent.mkdir(parents=True, exist_ok=True)
    with lock_file(_lock_of(work), final, job):
        if work.is_symlink():
            work.unlink()
        elif work.exists():
            shutil.rmtree(work)  # a killed job's
        with disk_words(final):
            work.mkdir()
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)


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
    with disk_words(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with lock_file(folder / LOCK, folder, job):
        yield


@contextlib.contextmanager
def lock_file(path: Path, where: Path, job: str) -> Iterator[None]:
    """Hold a lock for a job, as `folder_lock` does; the lock's file is removed at the end.

    Args:
        path: The lock's file.
        where: What is held, for the error.
        job: What is done, for the error.

    Raises:
        DataError: If another process holds it.
        OSError: If the file cannot be written.
    """
    with disk_words(path):
        descriptor = _open_no_link(str(path), os.O_RDWR | os.O_CREAT)
    try:
        if fcntl is not None:  # without such locks two jobs would repeat each other's work, not spoil it
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not path.exists() or not os.path.samestat(path.stat(), os.fstat(descriptor)):
                raise BlockingIOError  # another job ended and a third began between our two calls
    except BlockingIOError as error:
        os.close(descriptor)
        raise DataError(where, f"another {job} is running here", "Wait for it to end.") from error
    except OSError:  # a file system without locks
        pass
    _locks.add(descriptor)
    try:
        yield
    finally:
        if descriptor in _locks:  # not in a forked worker: the job is its parent's
            _locks.discard(descriptor)
            try:
                with contextlib.suppress(OSError):  # where an open file cannot be removed it stays, unlocked
                    path.unlink(missing_ok=True)
            finally:
                os.close(descriptor)


def _let_go() -> None:
    """In a forked worker: it may live for some seconds longer than a parent that is killed, and must not hold its locks."""
    for descriptor in _locks:
        os.close(descriptor)
    _locks.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)
