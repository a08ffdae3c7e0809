"""The YAML at the start of a card: written for the hub, read from cards that people edit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from justzoomin.errors import DataError
from justzoomin.untrusted import plain_yaml, read_limited

CARD = "README.md"
_MAX_BYTES = 4 << 20


def with_front_matter(values: Mapping[str, Any], text: str) -> str:
    """Return a card: values as YAML between two lines of dashes, then the text."""
    import yaml

    head = yaml.safe_dump({key: value for key, value in values.items() if value not in (None, [], "")},
                          sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{head}---\n\n{text}"


def read_front_matter(folder: Path) -> dict[str, Any] | None:
    """Return the values at the start of a folder's README.md; None without a README.md, empty if it has none.

    Raises:
        DataError: If they cannot be read.
    """
    path = folder / CARD
    if not path.is_file():
        return None
    try:
        text = read_limited(path, _MAX_BYTES).decode("utf-8", "replace")
    except (OSError, ValueError) as error:
        raise DataError(path, f"it cannot be read ({error})", "Write the card again.") from error
    if not text.startswith("---\n"):
        return {}
    values = plain_yaml(text[4:].partition("\n---")[0].encode(), path, DataError)
    if not isinstance(values, dict):
        raise DataError(path, "its front matter is not a list of names and values", "Write the card again.")
    return {str(key): value for key, value in values.items()}


def licence_of(values: Mapping[str, Any] | None) -> str:
    """Return the licence that a card's front matter names; empty if none."""
    found = (values or {}).get("license")
    if found == "other":
        found = (values or {}).get("license_name") or found
    names = found if isinstance(found, list) else [found]
    return ", ".join(str(name).strip() for name in names if name not in (None, "", "unknown"))
