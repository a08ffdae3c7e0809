"""Make photo ids from names given by people."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from justzoomin.errors import DataError

MAX_LENGTH = 100
"""Longer ids are cut: file systems allow 255 bytes, and a photo's file name is longer than its id."""
_HASH = 8


def id_text(value: object) -> str:
    """Return an id as text; integers without the `.0` that spreadsheets and pandas append. Empty if there is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    text = str(int(value)) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else str(value).strip()
    return re.sub(r"^([0-9]+)\.0$", r"\1", text)


def _clean(name: str) -> str:
    """Return the name with everything except letters, digits, `_`, `-` and `.` replaced, without a leading dot or dash."""
    kept = re.sub(r"[^A-Za-z0-9_.-]+", "-", name)
    return kept.lstrip(".-")[:MAX_LENGTH]


def _marked(name: str, length: int) -> str:
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:length]
    return f"{_clean(name)[:MAX_LENGTH - length - 1]}-{digest}".lstrip("-")


def unique_ids(names: Sequence[str], tell: Sequence[str] | None = None) -> list[str]:
    """Make ids of photos from their names, unique even if a file system ignores case.

    A name of letters, digits, `_`, `-` and `.` is its own id. In other names, all other characters are replaced by `-`, and
    eight digits of a hash of the name are appended, as for all names that would otherwise give the same id. So an id
    depends only on the name, unless two names collide.

    Args:
        names: Names, such as paths without their extension.
        tell: What to hash instead of a name if names repeat, such as the paths with their extension.

    Returns:
        An id for each name, in order.

    Raises:
        DataError: If two names cannot be distinguished.
    """
    tell = list(tell) if tell is not None else list(names)
    ids = [name if _clean(name) == name and name else _marked(whole, _HASH) for name, whole in zip(names, tell, strict=True)]
    for length in (_HASH, 4 * _HASH):
        counts: dict[str, int] = {}
        for one in ids:
            counts[one.lower()] = counts.get(one.lower(), 0) + 1
        if len(counts) == len(ids):
            return ids
        ids = [one if counts[one.lower()] == 1 else _marked(whole, length) for one, whole in zip(ids, tell, strict=True)]
    seen: dict[str, int] = {}
    for index, one in enumerate(ids):
        first = seen.setdefault(one.lower(), index)
        if first != index:
            raise DataError(tell[index], f"the photo has the same name as {tell[first]}", "Give each photo its own name.")
    return ids
