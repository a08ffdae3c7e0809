"""Helpers for the tests of downloads."""

from __future__ import annotations

from pathlib import Path

from justzoomin.hub import Retry


class Pauses(list[float]):
    """Requested pauses, none of which was taken."""

    def __init__(self) -> None:
        super().__init__()
        self.notices: list[str] = []
        self.retry = Retry(tries=4, sleep=self.append, notice=self.notices.append)


def files_below(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder except this package's own records."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*"))
            if p.is_file() and not any(part.startswith(".jzi") for part in p.relative_to(folder).parts)}
