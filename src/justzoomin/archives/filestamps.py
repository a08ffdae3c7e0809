"""Expected sizes and hashes of files, and whether the files on the disk match them."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

_HEX = {"sha256": re.compile(r"[0-9a-f]{64}"), "git-sha1": re.compile(r"[0-9a-f]{40}")}
_CHUNK = 1 << 20

Progress = Callable[[str, int, int], None]


class FileProblem(NamedTuple):
    """A recorded file that is wrong: its path below the folder, and the problem."""

    path: str
    detail: str


@dataclass(frozen=True)
class FileStamp:
    """The expected size and hash of a file.

    Args:
        size: Size in bytes.
        algorithm: `sha256` of the content, or `git-sha1`, the id that git gives to a blob.
        digest: The hash in lower-case hex.
    """

    size: int
    algorithm: Literal["sha256", "git-sha1"]
    digest: str

    def __post_init__(self) -> None:
        known = _HEX.get(self.algorithm)
        if type(self.size) is not int or self.size < 0 or known is None or not known.fullmatch(self.digest):
            raise ValueError(f"invalid size and hash of a file: {self.size!r}, {self.algorithm!r}, {str(self.digest)[:80]!r}")

    def digest_of(self, path: Path) -> str:
        """Return the hash of a file by this stamp's algorithm.

        Raises:
            OSError: If the file cannot be read.
        """
        digest = hashlib.sha256() if self.algorithm == "sha256" else hashlib.sha1(usedforsecurity=False)
        with path.open("rb") as file:
            if self.algorithm == "git-sha1":
                digest.update(b"blob %d\0" % os.fstat(file.fileno()).st_size)
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
        return digest.hexdigest()

    def problem(self, path: Path, *, content: bool = False) -> str | None:
        """Return in words what is wrong with a file, or None; checks the size, and with `content` the hash as well."""
        try:
            status = path.stat()
            if not path.is_file():
                return "it is not a regular file"
            if status.st_size != self.size:
                return f"it has {status.st_size} bytes instead of {self.size}"
            if content and (found := self.digest_of(path)) != self.digest:
                return f"its {self.algorithm} is {found} instead of {self.digest}"
        except FileNotFoundError:
            return "it is missing"
        except OSError as error:
            return f"it cannot be read ({error.strerror})"
        return None


def plain_path(name: object) -> bool:
    """Return whether an external name is a plain relative path, which leads out of its folder on no system."""
    if not isinstance(name, str) or not 0 < len(name) < 1000 or "\\" in name or ":" in name:
        return False
    if any(ord(letter) < 32 or letter == "\x7f" or 0xD800 <= ord(letter) < 0xE000 for letter in name):
        return False
    return all(part not in {"", ".", ".."} for part in name.split("/"))


def compare_files(folder: Path, wanted: Iterable[tuple[str, FileStamp]], progress: Progress | None = None,
                  workers: int = 4) -> list[FileProblem]:
    """Compare files with their expected sizes and hashes.

    Args:
        folder: The folder of the files.
        wanted: Paths below the folder, with what the files must be.
        progress: Called with "hashes, MB", the megabytes read and all megabytes.
        workers: Number of threads that read.

    Returns:
        The problems, in the given order.
    """
    items = list(wanted)
    total, done, problems = sum(stamp.size for _, stamp in items), 0, []
    with ThreadPoolExecutor(workers) as pool:
        found = pool.map(lambda item: item[1].problem(folder / item[0], content=True), items)
        for (name, stamp), detail in zip(items, found, strict=True):
            if detail:
                problems.append(FileProblem(name, detail))
            done += stamp.size
            if progress:
                progress("hashes, MB", done // 1_000_000, total // 1_000_000)
    return problems
