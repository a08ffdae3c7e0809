"""Write files completely or not at all, and lock folders so that one job works in them at a time.

Everything that the package writes goes through this file. So no link can lead a file out of its folder, and a full or broken
disk gives an error that names the file and says what to do (`DiskError`).
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
"""File that is locked while a job works in a folder; a killed job leaves the file, unlocked."""
PART = ".part"
"""Ending of the names of incomplete files and folders; these names begin with a dot."""
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
    """Return a path below a folder, after checking that no link on the way leads out of the folder.

    Args:
        root: The folder. It may be a link itself, because the user named it.
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
                     "Replace it by a real file or folder, or remove it.")


# --- writing -------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def disk_words(path: Path) -> Iterator[None]:
    """Name the file in disk errors: those of a write, a flush or a sync do not name it.

    Raises:
        DiskError: Instead of an `OSError` that does not name a file, or that says that the disk is full or broken.
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
    """A file to write. It is never opened through a link, and errors name the file `told`."""

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
    """Open a file to write in place; use it in a `with` statement, and `sync` to write it to the disk.

    Args:
        path: The file.
        mode: Mode, as in `open`.
        told: File that disk errors name instead.

    Raises:
        DataError: If the path is a link or not a regular file.
        OSError: If the file cannot be opened.
    """
    raw = _NamedFile(path, mode.replace("b", ""), told or path)
    return io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)


def open_for_rows(path: Path) -> IO[bytes]:
    """Open a file to read and write at offsets; it is made if missing.

    Raises:
        DataError: If the path is a link or not a regular file.
        OSError: If the file cannot be opened.
    """
    with contextlib.suppress(FileExistsError):
        open_to_write(path, "xb").close()
    return open_to_write(path, "r+b")


def _told(file: IO[bytes]) -> Path:
    name = getattr(getattr(file, "raw", None), "told", file.name)
    return Path(name) if isinstance(name, str | Path) else Path(tempfile.gettempdir())  # a temporary file without a name


def sync(file: IO[bytes]) -> None:
    """Write a file's buffers to the disk.

    Raises:
        DiskError: If the file cannot be written.
    """
    with disk_words(_told(file)):
        file.flush()
        os.fsync(file.fileno())


def write_at(file: IO[bytes], data: bytes, offset: int) -> None:
    """Write at an offset without the file's buffer; several threads and processes may do so at once.

    Raises:
        DiskError: If the file cannot be written.
    """
    rest = memoryview(data)
    with disk_words(_told(file)):
        while rest:
            written = os.pwrite(file.fileno(), rest, offset)
            rest, offset = rest[written:], offset + written


def reserve(file: IO[bytes], size: int) -> None:
    """Set the size of a file and reserve the space: writing to a memory map of a sparse file on a full disk kills the process.

    Raises:
        DiskError: If the disk has not enough space.
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
    """Open a binary file that gets its name, synced to the disk, when the block ends without an error.

    The file's folder is made if missing. Until the end the content is in the same folder as `.NAME.part`. A `.part` file of a
    killed job is replaced. If another process is writing the same file, the name of the `.part` file has random letters.

    Args:
        path: The file.
        root: A folder from outside: no link on the way from there to the file is followed.

    Raises:
        DataError: If a link leads out of `root`.
        OSError: If the file cannot be written; then nothing is left.
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
                    file.close()  # on systems where an open file cannot be renamed
                with disk_words(path):
                    temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def _part_of(path: Path) -> Iterator[tuple[Path, IO[bytes]]]:
    """Open and lock the file that holds the content of `path` until it is complete."""
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
    """Return a new, locked file of that name, or None if another process is writing one."""
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
                return file  # no other process took it for the file of a killed job between our two calls
        file.close()
    return None


def remove_left(path: Path) -> bool:
    """Remove a file unless a living process holds it; return whether it is gone."""
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
            return False  # there is no way to see who holds it
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
        OSError: If the file cannot be written.
    """
    with atomic_file(path, root) as file:
        file.write(data)
    return path


def copy_file(source: Path, path: Path, *, link: bool = False) -> Path:
    """Copy a file atomically, or give it a second name on the same file system; return the new path.

    Args:
        source: The file; a link is followed.
        path: The new file.
        link: Make a hard link where that is possible. Only for files that are replaced and never changed in place.

    Raises:
        OSError: If the file cannot be read or written.
    """
    if link:
        with disk_words(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(OSError):  # another file system, or one without hard links
            os.link(source.resolve(), path)
            return path
    with source.open("rb") as content, atomic_file(path) as file:
        shutil.copyfileobj(content, file, 1 << 20)
    with contextlib.suppress(OSError):  # what is known of a file by its time stays known
        times = source.stat()
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    return path


def write_json(values: Any, path: Path, root: Path | None = None) -> Path:
    """Write values as indented JSON in UTF-8, atomically; return the path.

    Raises:
        DataError: If a link leads out of `root`.
        OSError: If the file cannot be written.
    """
    return write_bytes(path, (json_text(values) + "\n").encode(), root)


def sync_folder(folder: Path) -> None:
    """Write the names in a folder to the disk: otherwise a power cut after a rename can restore the old names."""
    with contextlib.suppress(OSError):  # not every file system supports it
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
    """Return whether a folder is missing, empty, or holds only the first files of a killed job.

    Args:
        folder: The folder.
        own: Names of files that the job makes first.
    """
    return not folder.exists() or all(place.name in own or _is_left(place.name) for place in folder.iterdir())


def sweep(folder: Path) -> None:
    """Remove incomplete files and locks of killed jobs from a folder; keep those that a living process holds."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        for place in list(folder.iterdir()):
            if place.name.endswith(PART) and place.is_dir() and not place.is_symlink():
                with contextlib.suppress(DataError, OSError), lock_file(_lock_of(place), place, "job"):
                    shutil.rmtree(place)
            elif _is_left(place.name):
                remove_left(place)


def sweep_beside(final: Path) -> None:
    """Remove the work folder and the lock of a killed job that made `final`."""
    named = final.absolute()
    work = named.with_name(f".{named.name}{PART}")
    if work.exists() or _lock_of(work).exists():
        with contextlib.suppress(DataError, OSError), lock_file(_lock_of(work), final, "job"):
            shutil.rmtree(work, ignore_errors=True)


def remove_work(folder: Path, last: str) -> None:
    """Remove a work folder; `last`, the file that says that the job has ended, is removed last."""
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
    """Make a work folder `.NAME.part` in the folder of `final`; it is removed at the end if it still exists.

    Args:
        final: File or folder that the job makes.
        job: Name of the job, for the error.

    Raises:
        DataError: If another process is making the same file or folder.
        OSError: If the work folder cannot be made.
    """
    named = final.absolute()
    work = named.with_name(f".{named.name}{PART}")
    with disk_words(final):
        work.parent.mkdir(parents=True, exist_ok=True)
    with lock_file(_lock_of(work), final, job):
        if work.is_symlink():
            work.unlink()
        elif work.exists():
            shutil.rmtree(work)  # of a killed job
        with disk_words(final):
            work.mkdir()
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)


@contextlib.contextmanager
def folder_lock(folder: Path, job: str) -> Iterator[None]:
    """Lock a folder for a job; the system releases it when the process ends, in whatever way.

    Args:
        folder: The folder; made if missing.
        job: Name of the job, for the error.

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
    """Hold a lock for a job, as `folder_lock` does, and remove the lock file at the end.

    Args:
        path: The lock file.
        where: Path that is locked, for the error.
        job: Name of the job, for the error.

    Raises:
        DataError: If another process holds it.
        OSError: If the file cannot be written.
    """
    with disk_words(path):
        descriptor = _open_no_link(str(path), os.O_RDWR | os.O_CREAT)
    try:
        if fcntl is not None:  # without such locks two jobs would do the same work twice, without damage
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not path.exists() or not os.path.samestat(path.stat(), os.fstat(descriptor)):
                raise BlockingIOError  # another job ended and a third began between our two calls
    except BlockingIOError as error:
        os.close(descriptor)
        raise DataError(where, f"another {job} is running here", "Wait until it ends.") from error
    except OSError:  # a file system without locks
        pass
    _locks.add(descriptor)
    try:
        yield
    finally:
        if descriptor in _locks:  # not in a forked worker: the job belongs to the parent
            _locks.discard(descriptor)
            try:
                with contextlib.suppress(OSError):  # if an open file cannot be removed, it stays, unlocked
                    path.unlink(missing_ok=True)
            finally:
                os.close(descriptor)


def _let_go() -> None:
    """Close the locks in a forked worker, which may live some seconds longer than a killed parent."""
    for descriptor in _locks:
        os.close(descriptor)
    _locks.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)
