"""Ids of photos out of names that people gave them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from justzoomin.errors import DataError

MAX_LENGTH = 100
"""Longer ids are cut: file systems end at 255 bytes, and a photo's name gets more behind its id."""
_HASH = 8


def id_text(value: object) -> str:
    """An id as text; whole numbers without the `.0` that spreadsheets and pandas put behind them. Empty where there is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    text = str(int(value)) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else str(value).strip()
    return re.sub(r"^([0-9]+)\.0$", r"\1", text)


def _clean(name: str) -> str:
    """The name with everything but letters, digits, `_`, `-` and `.` replaced; no leading dot or dash."""
    kept = re.sub(r"[^A-Za-z0-9_.-]+", "-", name)
    return kept.lstrip(".-")[:MAX_LENGTH]


def _marked(name: str, length: int) -> str:
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:length]
    return f"{_clean(name)[:MAX_LENGTH - length - 1]}-{digest}".lstrip("-")


def unique_ids(names: Sequence[str], tell: Sequence[str] | None = None) -> list[str]:
    """Ids of photos from their names, unique even where a file system ignores case.

    A name of letters, digits, `_`, `-` and `.` is its own id. Another has these replaced by `-` and gets eight digits
    of a hash of the name; so do names that would otherwise be the same id, all of them. So an id depends on the name,
    and on nothing else unless two names collide.

    Args:
        names: Names, such as paths without their ending.
        tell: What to hash in place of each name, where names repeat; such as the paths with their ending.

    Returns:
        An id for each name, in order.

    Raises:
        DataError: If two names cannot be told apart.
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
            raise DataError(tell[index], f"it has the same name as {tell[first]}", "Give each photo a name of its own.")
    return ids
