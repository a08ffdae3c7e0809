"""Text for output, above all file names: characters that UTF-8 cannot encode are spelled out instead of causing an error.

File names are bytes on many systems. Python turns bytes that are not UTF-8 into lone surrogates, which cannot be written.
"""

from __future__ import annotations

import codecs
import json
from typing import Any

SPELLED = "justzoomin-spelled"
"""Error handler of encoders that spells out what they cannot encode: `\\xe9` for a byte, `\\u0130` for a character."""
_SPELLED_IN_JSON = "justzoomin-spelled-in-json"
_BYTES = range(0xDC80, 0xDD00)


def spelled(text: str) -> str:
    r"""Return a text that UTF-8 can encode: `caf\xe9.jpg` for a file name in Latin-1."""
    return text.encode("utf-8", SPELLED).decode()


def json_text(values: Any, indent: int | None = 2) -> str:
    """Return values as JSON that UTF-8 can encode, with texts as `spelled` returns them."""
    return json.dumps(values, indent=indent, ensure_ascii=False).encode("utf-8", _SPELLED_IN_JSON).decode()


def _spell(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    wrong = error.object[error.start:error.end]
    return "".join(f"\\x{ord(c) - 0xDC00:02x}" if ord(c) in _BYTES else
                   c.encode("ascii", "backslashreplace").decode() for c in wrong), error.end


def _spell_in_json(error: UnicodeError) -> tuple[str, int]:
    text, end = _spell(error)
    return text.replace("\\", "\\\\"), end


codecs.register_error(SPELLED, _spell)
codecs.register_error(_SPELLED_IN_JSON, _spell_in_json)
