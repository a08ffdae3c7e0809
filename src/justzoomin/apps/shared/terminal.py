"""Safe text for terminals and pipes: no character moves the cursor, hides words or breaks JSON."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, TextIO, cast

from justzoomin.spelling import spelled

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn

_COLOURS = re.compile(r"(\x1b\[[0-9;]*m)")


def visible(text: str) -> str:
    r"""Return text with every control, hidden or broken character as a JSON escape, such as \u001b.

    JSON stays valid and keeps the same values. Line ends and tabs are kept, and so is a carriage return at the start: progress
    bars of libraries begin with one.
    """
    if text.isprintable():
        return text
    start = "\r" if text.startswith("\r") else ""
    body = text.removeprefix(start).replace("\r\n", "\n")
    return start + "".join(c if c.isprintable() or c in "\n\t" else _escape(c) for c in body)


def _escape(character: str) -> str:
    if "\udc80" <= character < "\udd00":  # a byte of a file name that is not UTF-8
        return spelled(character)
    return re.sub("(....)", r"\\u\1", character.encode("utf-16-be", "surrogatepass").hex())


class PlainStream:
    """A text stream that passes on only visible characters, whoever writes to it.

    Args:
        stream: Where the text goes.
        colours: Whether to pass on escapes that set colours, for the help and usage errors that typer draws with rich.
    """

    encoding = "utf-8"
    errors = "backslashreplace"
    buffer = None
    """Missing, because typer would write to it directly if the terminal's encoding is ASCII."""

    def __init__(self, stream: TextIO, *, colours: bool = False) -> None:
        self.stream = stream
        self._colours = colours

    def __getattr__(self, name: str) -> object:
        return getattr(self.stream, name)

    @property
    def rich_proxied_file(self) -> PlainStream:
        """Return the stream that rich writes to instead of this one."""
        return PlainStream(self.stream, colours=True)

    def write(self, text: str) -> int:
        """Write text with visible characters that the stream's encoding has."""
        parts = _COLOURS.split(text) if self._colours else [text]
        shown = "".join(part if place % 2 else visible(part) for place, part in enumerate(parts))
        encoding = getattr(self.stream, "encoding", None) or "utf-8"
        self.stream.write(shown.encode(encoding, "backslashreplace").decode(encoding))
        return len(text)


def guard_streams() -> None:
    """Make standard output and standard error plain streams for the rest of the process, up to the last traceback."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, PlainStream):
            setattr(sys, name, PlainStream(stream))


def plain_console(*, stderr: bool) -> Console:
    """Return a console that shows plain text: no markup, no emoji codes, only visible characters."""
    from collections.abc import Iterable
    from typing import Any

    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment
    from rich.text import Text

    class PlainConsole(Console):
        def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
            for segment in super().render(renderable, options):
                yield segment if segment.control else segment._replace(text=visible(segment.text))

        def render_str(self, text: str, **options: Any) -> Text:  # before the widths of a table are measured
            return super().render_str(visible(text), **options)

    stream = sys.stderr if stderr else sys.stdout
    file = stream.stream if isinstance(stream, PlainStream) else stream  # bars move the cursor
    return PlainConsole(file=file, stderr=stderr, soft_wrap=True, highlight=False, markup=False, emoji=False)


def plain_bars(*columns: ProgressColumn | str, disable: bool, transient: bool = True) -> Progress:
    """Return progress bars on standard error; text that is printed meanwhile appears above them, with visible characters only.

    Args:
        columns: Columns; a text is the format of a column.
        disable: Whether to draw nothing.
        transient: Whether the bars disappear at the end.
    """
    from rich.progress import Progress, TextColumn

    class PlainProgress(Progress):
        def start(self) -> None:
            super().start()
            for name in ("stdout", "stderr"):  # rich has set streams here that turn escapes into colours and links
                if not isinstance(getattr(sys, name), PlainStream):
                    setattr(sys, name, PlainStream(cast("TextIO", getattr(sys, name))))

    drawn = [TextColumn(column, markup=False) if isinstance(column, str) else column for column in columns]
    return PlainProgress(*drawn, console=plain_console(stderr=True), disable=disable, transient=transient)
