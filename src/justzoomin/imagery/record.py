"""The record of a build: its sources and settings, and whether it is complete."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from justzoomin.archives import BUILD_RECORD
from justzoomin.errors import ConfigError, DataError
from justzoomin.files import sync_folder, write_json
from justzoomin.imagery.sources import SourceStamp

WORK_FOLDER = ".jzi-map-build"
_FORMAT = 1
_MAX_BYTES = 256 << 20


def load_record(dest: Path) -> dict[str, Any] | None:
    """Return the record in a folder; None if there is none.

    Raises:
        DataError: If it cannot be read or is not valid.
    """
    path = dest / BUILD_RECORD
    remedy = f"Remove {dest} and build the map again."
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise DataError(path, "the record is too large", remedy)
        values = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(path, f"the record cannot be read ({str(error)[:200]})", remedy) from error
    if not isinstance(values, dict) or values.get("format") != _FORMAT or not isinstance(values.get("complete"), bool):
        raise DataError(path, f"it is not a record of format {_FORMAT}", remedy)
    return values


def save_record(dest: Path, *, complete: bool, settings: dict[str, object], sources: list[SourceStamp],
                plan: dict[str, object]) -> None:
    """Write the record, atomically.

    Raises:
        OSError: If it cannot be written.
    """
    write_json({"format": _FORMAT, "complete": complete, "settings": settings, "plan": plan,
                "sources": [asdict(stamp) for stamp in sources]}, dest / BUILD_RECORD)
    sync_folder(dest)


def require_same(dest: Path, record: dict[str, Any], settings: dict[str, object], sources: list[SourceStamp],
                 plan: dict[str, object] | None = None) -> None:
    """Refuse to continue a build with other settings or sources.

    Raises:
        ConfigError: If something differs; it names the first difference.
    """
    remedy = f"Use the same settings and sources, or another folder, or remove {dest}."
    begun = "built" if record["complete"] else "begun"
    for part, now in (("settings", settings), ("plan", plan)):
        then = record.get(part)
        if now is None or then == json.loads(json.dumps(now)):
            continue
        names = [key for key in now if not isinstance(then, dict) or then.get(key) != json.loads(json.dumps(now[key]))]
        first = names[0] if names else part
        old = then.get(first) if isinstance(then, dict) else None
        raise ConfigError(dest, f"this map was {begun} with {first} {_short(old)}, but now it is {_short(now.get(first))}",
                          remedy)
    stamps = [asdict(stamp) for stamp in sources]
    if record.get("sources") != stamps:
        old_stamps = record.get("sources")
        old_list = old_stamps if isinstance(old_stamps, list) else []
        other = next((a for a, b in zip(stamps, old_list, strict=False) if a != b), None)
        what = f"{len(old_list)} files then, {len(stamps)} now" if other is None else \
            "an address differs" if other["size"] < 0 else f"{other['name']} is a different file or was changed"
        raise ConfigError(dest, f"this map was {begun} from other sources ({what})", remedy)


def _short(value: object) -> str:
    text = "the default" if value is None else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
