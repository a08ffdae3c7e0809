"""The commands that pages show, as a shell would read them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
PAGES = sorted([*(PROJECT / "docs").glob("*.md"), PROJECT / "README.md"])


@dataclass(frozen=True)
class Command:
    """A command in a code block of a page.

    Attributes:
        page: The page.
        section: Title of the section that it is in.
        line: Its line.
        text: The command without its comment.
        comment: The comment behind it.
    """

    page: Path
    section: str
    line: int
    text: str
    comment: str

    @property
    def words(self) -> list[str]:
        """Its words; what it writes into or reads from by `>` and `<` is left out."""
        words = shlex.split(self.text)
        return words[:next((k for k, word in enumerate(words) if word[:1] in "<>"), len(words))]

    @property
    def where(self) -> str:
        """Page and line."""
        return f"{self.page.name}:{self.line}"


def commands(page: Path) -> Iterator[Command]:
    """The commands of a page's `sh` blocks, in order; lines that end in a backslash go on, a here-document is left out."""
    text = page.read_text(encoding="utf-8")
    for block in re.finditer(r"^```(?:sh|bash|console)\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL):
        section = (re.findall(r"^## (.+)$", text[:block.start()], flags=re.MULTILINE) or [""])[-1]
        number, lines = text[:block.start(1)].count("\n"), block[1].split("\n")
        while lines:
            number, first, line = number + 1, number + 1, lines.pop(0)
            while line.endswith("\\"):
                number, line = number + 1, line[:-1] + lines.pop(0).strip()
            document = re.search(r"<<'(\w+)'", line)
            while document and lines.pop(0) != document[1]:
                number += 1
            command, _, comment = re.sub(r"(^|\s)#\s*", "\0", line, count=1).partition("\0")
            if command.strip():
                yield Command(page, section, first, command.strip(), comment.strip())
