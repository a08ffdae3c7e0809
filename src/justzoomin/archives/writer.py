"""Write the card's TAR shards: members in order, bytes that depend on the content alone."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from types import TracebackType
from typing import IO

from justzoomin.files import open_to_write, remove_left, sync


class ShardWriter:
    """Writes members into `<stem>_000.tar`, `<stem>_001.tar`, ..., hardly larger than `limit_bytes`.

    A shard gets its name only when it is complete; until then it is stored beside it as `.<name>.part`.
    """

    def __init__(self, folder: Path, stem: str, limit_bytes: int) -> None:
        self._folder, self._stem, self._limit = folder, stem, limit_bytes
        self._number, self._written = 0, 0
        self._tar: tarfile.TarFile | None = None
        self._file: IO[bytes] | None = None

    def add(self, name: str, data: bytes) -> None:
        """Append a member, whose metadata contain neither time nor user."""
        if self._tar is not None and self._written + len(data) > self._limit:
            self._close()
            self._number += 1
        if self._tar is None:
            remove_left(self._part())
            self._file = open_to_write(self._part(), told=self._named())
            self._tar = tarfile.TarFile(fileobj=self._file, mode="w", format=tarfile.USTAR_FORMAT)
            self._written = 0
        member = tarfile.TarInfo(name)
        member.size, member.mode = len(data), 0o644
        self._tar.addfile(member, io.BytesIO(data))
        self._written += len(data) + 1024

    def _part(self) -> Path:
        return self._folder / f".{self._named().name}.part"

    def _named(self) -> Path:
        return self._folder / f"{self._stem}_{self._number:03d}.tar"

    def _close(self) -> None:
        if self._tar is not None and self._file is not None:
            self._tar.close()
            sync(self._file)
            self._file.close()
            self._part().replace(self._named())
        self._tar = self._file = None

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self._close()
        elif self._file is not None:
            self._file.close()
            self._part().unlink(missing_ok=True)
            self._tar = self._file = None
