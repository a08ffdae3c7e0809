"""Read small files from outside safely: regular files of limited size, and plain YAML."""

from __future__ import annotations

import math
import os
import re
import stat
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO

from justzoomin.errors import DataError, JustZoomInError, LayoutError

_MAX_DEPTH = 16
_MAX_INTEGER = 1 << 63
_OTHER_NUMBER = re.compile(r"[-+]?(?:0[0-9_]+|[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?)")
"""Numbers with base 8 or 60 (YAML 1.1): 010 would be 8, and 1:30, meant as one and a half degrees, would be 90."""
_PLAIN = "Write plain `key: value` lines."


def printable(text: object, limit: int = 300) -> str:
    """Return text from a file that is safe in a message: one line, limited length, only visible characters."""
    words = " ".join(str(text)[:4 * limit].split())[:limit]
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in words)


def open_regular(path: Path) -> IO[bytes]:
    """Open a file for reading, without waiting for a pipe or device of that name.

    Raises:
        OSError: If the file cannot be read or is not a regular file; `strerror` says which.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    file = os.fdopen(descriptor, "rb")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        file.close()
        raise OSError(0, "it is not a regular file", str(path))
    return file


def read_limited(path: Path, max_bytes: int) -> bytes:
    """Return the bytes of a file; `open_regular` opens it.

    Raises:
        OSError: If the file cannot be read, is not a regular file, or is larger than `max_bytes`; `strerror` says which.
    """
    with open_regular(path) as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise OSError(0, f"it has more than {max_bytes} bytes", str(path))
    return content


def files_in(folder: Path, pattern: str) -> list[Path]:
    """Return the paths in a folder with names that match a pattern, in order; an empty list if there is no such folder.

    `Path.glob` would silently find nothing in a folder that cannot be read.

    Raises:
        DataError: If the folder cannot be read.
    """
    try:
        paths = list(folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DataError(folder, f"the folder cannot be read ({error.strerror})", "Make it readable.") from error
    return sorted(path for path in paths if fnmatchcase(path.name, pattern))


def load_yaml(path: Path, max_bytes: int, refuse: type[JustZoomInError] = LayoutError) -> object:
    """Return the value of a YAML file; `plain_yaml` says what is refused.

    Raises:
        JustZoomInError: Of the kind `refuse`, if the file cannot be read, is too large or is not plain YAML.
    """
    try:
        content = read_limited(Path(path), max_bytes)
    except OSError as error:
        raise refuse(path, f"it cannot be read ({error.strerror})", f"Give a readable file of up to {max_bytes} bytes."
                     ) from error
    return plain_yaml(content, path, refuse)


def plain_yaml(content: bytes, where: str | Path, refuse: type[JustZoomInError] = LayoutError) -> object:
    """Return the value of YAML text: mappings, lists, words and numbers.

    Anchors, aliases, tags, repeated keys, several documents, deep nesting, and numbers beyond 64 bits or with another base are
    refused.

    Raises:
        JustZoomInError: Of the kind `refuse`; it names `where` and what is wrong.
    """
    import yaml

    try:
        text = content.decode("utf-8")
        _refuse_tricks(text, where, refuse)
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError, TypeError, LookupError, AttributeError) as error:
        # PyYAML does not catch the errors of its constructors.
        raise refuse(where, f"it is not plain YAML ({printable(error, 200)})", _PLAIN) from error
    _refuse_numbers(value, where, refuse)
    return value


def _refuse_tricks(text: str, where: str | Path, refuse: type[JustZoomInError]) -> None:
    """Check the events of the text before any value is built."""
    import yaml

    open_keys: list[set[str] | None] = []  # keys of each open collection, None for a list
    at_key: list[bool] = []
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise refuse(where, "it uses YAML anchors or aliases", "Write every value out.")
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise refuse(where, f"it uses the YAML tag {tag[:60]!r}", _PLAIN)
        if isinstance(event, yaml.ScalarEvent) and event.style is None and _OTHER_NUMBER.fullmatch(event.value):
            raise refuse(where, f"{event.value[:60]} is a number with another base in YAML",
                         "Write a decimal number, or put it in quotes as text.")
        if isinstance(event, yaml.CollectionEndEvent):
            open_keys.pop()
            at_key.pop()
        elif isinstance(event, yaml.NodeEvent):
            if at_key and open_keys[-1] is not None:
                if at_key[-1] and isinstance(event, yaml.ScalarEvent):
                    if event.value in open_keys[-1]:
                        raise refuse(f"{where}: {printable(event.value, 60)}", "the field is stated twice", "State it once.")
                    open_keys[-1].add(event.value)
                at_key[-1] = not at_key[-1]
            if isinstance(event, yaml.CollectionStartEvent):
                open_keys.append(set() if isinstance(event, yaml.MappingStartEvent) else None)
                at_key.append(True)
                if len(at_key) > _MAX_DEPTH:
                    raise refuse(where, f"it is nested deeper than {_MAX_DEPTH}", _PLAIN)


def _refuse_numbers(value: object, where: str | Path, refuse: type[JustZoomInError]) -> None:
    """Refuse whole numbers beyond 64 bits, which cannot be converted, compared or printed safely."""
    if isinstance(value, dict):
        for key, inner in value.items():
            _refuse_numbers(key, where, refuse)
            _refuse_numbers(inner, f"{where}: {printable(key, 60)}", refuse)
    elif isinstance(value, list):
        for inner in value:
            _refuse_numbers(inner, where, refuse)
    elif isinstance(value, int) and not -_MAX_INTEGER <= value < _MAX_INTEGER:
        raise refuse(where, f"it holds a number of {round(math.log10(abs(value)))} digits", "Write plain numbers.")
