"""Files of a client in a folder of their own: stored under numbers, whatever their names; the names are kept apart."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import IO

from justzoomin.errors import ConfigError
from justzoomin.files import free_bytes, open_to_write, sync
from justzoomin.service.job_limits import JobLimits, NoRoomError, TooLargeError
from justzoomin.untrusted import printable

PHOTOS = "photos"
"""Name of the parts that are photos, and of the folder that they are stored in."""
MAX_FIELDS, MAX_FIELD_BYTES, MAX_FILE_BYTES, MAX_NAME = 50, 4 << 20, 64 << 20, 200
_DIGITS = 6


class StoredForm:
    """A form that is being received: photos, other files and fields. Nothing of a client's names becomes a path.

    Args:
        folder: An empty folder. It is private to the upload.
        limits: How much is accepted.
        files: Names of the fields that are stored as files.

    Attributes:
        names: The client's names of the photos, without folders, in order. Names can occur twice.
        fields: Texts of the fields.
        files: Stored files of fields that are files, by field.
    """

    def __init__(self, folder: Path, limits: JobLimits, files: Sequence[str] = ()) -> None:
        self.folder, self.limits = folder, limits
        self.names: list[str] = []
        self.fields: dict[str, str] = {}
        self.files: dict[str, Path] = {}
        self._file_fields = tuple(files)
        self._bytes = 0
        self._part, self._part_bytes = "", 0
        self._file: IO[bytes] | None = None
        self._text = bytearray()
        (folder / PHOTOS).mkdir(mode=0o700)

    @property
    def photos(self) -> list[Path]:
        """The stored photos, in order."""
        return [photo_path(self.folder, number) for number in range(len(self.names))]

    def begin(self, part: str, filename: str | None) -> None:
        """Begin a part of the form.

        Args:
            part: Name of the part.
            filename: Name of its file as the client calls it; None for a field.

        Raises:
            TooLargeError: If there are too many photos or fields.
            ConfigError: If a field was sent twice.
            NoRoomError: If the disk has too little room.
            DiskError: If the disk is full.
        """
        self._part, self._part_bytes = part, 0
        self._text.clear()
        if part == PHOTOS:
            if len(self.names) >= self.limits.max_photos:
                raise TooLargeError(PHOTOS, f"there are more than {self.limits.max_photos:,} photos", "Send fewer photos.")
            if free_bytes(self.folder) < self.limits.min_free_bytes:
                raise NoRoomError(PHOTOS, "the disk of the server is almost full", "Try again later, or send fewer photos.")
            number = len(self.names)
            self.names.append(client_name(filename, f"photo {number + 1}"))
            self._file = open_to_write(photo_path(self.folder, number), "xb")
            return
        if part in self.fields or part in self.files:
            raise ConfigError(part[:100], "the field was sent twice", "Send it once.")
        if len(self.fields) + len(self.files) >= MAX_FIELDS:
            raise TooLargeError("form", f"there are more than {MAX_FIELDS} fields", "See /docs for the fields of this request.")
        if part in self._file_fields:
            suffix = Path(filename or "").suffix.lower()  # it says of which kind the file is
            safe = suffix if suffix[1:].isalnum() and suffix.isascii() and len(suffix) <= 10 else ""
            self.files[part] = self.folder / f"{part}{safe}"
            self._file = open_to_write(self.files[part], "xb")

    def write(self, data: bytes) -> None:
        """Add bytes to the part.

        Raises:
            TooLargeError: If they are too many.
            DiskError: If the disk is full.
        """
        self._part_bytes += len(data)
        if self._part == PHOTOS:
            self._bytes += len(data)
            if self._part_bytes > self.limits.max_photo_bytes:
                raise TooLargeError(PHOTOS, f"a photo has more than {self.limits.max_photo_bytes:,} bytes",
                                    "Send photos of fewer bytes.")
            if self._bytes > self.limits.max_bytes:
                raise TooLargeError(PHOTOS, f"the photos have more than {self.limits.max_bytes:,} bytes", "Send fewer photos.")
        most = MAX_FIELD_BYTES if self._file is None else MAX_FILE_BYTES
        if self._part != PHOTOS and self._part_bytes > most:
            raise TooLargeError(self._part[:100], f"it has more than {most:,} bytes", "Send less.")
        if self._file is None:
            self._text += data
        else:
            self._file.write(data)

    def end(self) -> None:
        """End the part.

        Raises:
            ConfigError: If a field is not text in UTF-8.
            DiskError: If the disk is full.
        """
        if self._file is not None:
            with self._file:
                sync(self._file)
            self._file = None
            if not self._part_bytes and self._part in self.files:  # a browser's form without a file
                self.files.pop(self._part).unlink()
            return
        try:
            self.fields[self._part] = self._text.decode()
        except UnicodeDecodeError as error:
            raise ConfigError(self._part[:100], "it is not text in UTF-8", "Send it as UTF-8.") from error

    def close(self) -> None:
        """Close the file of a part that did not end."""
        if self._file is not None:
            with contextlib.suppress(OSError):  # on a full disk
                self._file.close()
            self._file = None

    def name_of(self, photo: Path) -> str:
        """Return the client's name of a stored photo."""
        return self.names[number_of(photo)]

    def told(self, text: str) -> str:
        """Return a message with the client's names instead of the server's paths."""
        for part, path in self.files.items():
            text = text.replace(str(path), part)
        return told(text, self.folder, self.names)


def client_name(filename: str | None, default: str) -> str:
    """Return the last part of a client's name of a file, printable and not too long; `default` if it has none."""
    name = PurePosixPath((filename or "").replace("\\", "/")).name
    return printable(re.sub(r"[\x00-\x1f\x7f]", "", name), MAX_NAME) or default


def photo_path(folder: Path, number: int) -> Path:
    """Return where a photo is stored."""
    return folder / PHOTOS / f"{number:0{_DIGITS}d}"


def number_of(photo: str | Path) -> int:
    """Return the number of a stored photo."""
    return int(Path(photo).name)


def told(text: str, folder: Path, names: Sequence[str]) -> str:
    """Return a message with the client's names instead of paths in a folder of photos."""
    start = f"{folder / PHOTOS}/"
    first, *rest = text.split(start)
    for piece in rest:
        digits = piece[:_DIGITS]
        known = digits.isascii() and digits.isdecimal() and int(digits) < len(names)
        first += names[int(digits)] + piece[_DIGITS:] if known else piece
    return first.replace(f"{folder}/", "").replace(str(folder), "the upload")


def remove_photos(folder: Path) -> None:
    """Remove the stored photos of a folder."""
    shutil.rmtree(folder / PHOTOS, ignore_errors=True)
